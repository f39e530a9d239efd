// Asks an etcd as a Go program does that uses etcd's own client: so many goroutines share so many
// connections, and each waits for its answer before it asks again. Prints one line of JSON.
// Built and run by benches/etcd_client.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/clientv3"
)

func main() {
	endpoints := flag.String("endpoints", "127.0.0.1:2379", "HOST:PORT,...")
	mode := flag.String("mode", "put", "put, range or range-serializable")
	clients := flag.Int("clients", 1, "goroutines")
	connections := flag.Int("connections", 1, "connections that they share")
	total := flag.Int64("operations", 1000, "how many in all")
	keys := flag.Int64("keys", 10000, "how many different keys")
	valueBytes := flag.Int("value-bytes", 256, "size of a value")
	flag.Parse()

	opened := make([]*clientv3.Client, *connections)
	for i := range opened {
		client, err := clientv3.New(clientv3.Config{
			Endpoints: strings.Split(*endpoints, ","), DialTimeout: 5 * time.Second,
		})
		if err != nil {
			fail(err)
		}
		defer client.Close()
		if _, err = client.Get(context.Background(), "warm"); err != nil {
			fail(err)
		}
		opened[i] = client
	}
	value := strings.Repeat("v", *valueBytes)
	var asked int64
	latencies := make([][]int64, *clients)
	var group sync.WaitGroup
	start := time.Now()
	for i := 0; i < *clients; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			client := opened[i%len(opened)]
			for number := atomic.AddInt64(&asked, 1); number <= *total; number = atomic.AddInt64(&asked, 1) {
				key := fmt.Sprintf("bench/%08d", number%*keys)
				begun := time.Now()
				var err error
				switch *mode {
				case "put":
					_, err = client.Put(context.Background(), key, value)
				case "range":
					_, err = client.Get(context.Background(), key)
				default:
					_, err = client.Get(context.Background(), key, clientv3.WithSerializable())
				}
				if err != nil {
					fail(err)
				}
				latencies[i] = append(latencies[i], time.Since(begun).Nanoseconds())
			}
		}(i)
	}
	group.Wait()
	took := time.Since(start).Seconds()
	all := make([]int64, 0, *total)
	for _, each := range latencies {
		all = append(all, each...)
	}
	sort.Slice(all, func(a, b int) bool { return all[a] < all[b] })
	json.NewEncoder(os.Stdout).Encode(map[string]interface{}{
		"operations":     len(all),
		"per_second":     float64(len(all)) / took,
		"latency_p50_ns": all[len(all)/2],
		"latency_p99_ns": all[len(all)*99/100],
	})
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
