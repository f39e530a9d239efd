"""What client-go is: client, reflector, informer, lister, workqueue, leader election, events."""
