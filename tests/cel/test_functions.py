"""Kubernetes' functions, each called as a rule calls it."""

from __future__ import annotations

import pytest

from k8sactors.cel import Environment, EvaluationError, Type

ENVIRONMENT = Environment({"self": Type.DYN})

TRUE = [
    "[1, 2, 2].isSorted() && !['b', 'a'].isSorted()",
    "[1, 2].sum() == 3 && [1.5].sum() == 1.5 && [].sum() == 0",
    "[3, 1].min() == 1 && ['a', 'b'].max() == 'b'",
    "[1, 2, 1].indexOf(1) == 0 && [1, 2, 1].lastIndexOf(1) == 2 && [1].indexOf(5) == -1",
    "'abc'.indexOf('b') == 1",
    "sets.contains([1, 2], [2]) && sets.equivalent([1, 1], [1]) && !sets.intersects([1], [2])",
    "'abc 123'.find('[0-9]+') == '123' && 'x'.find('[0-9]') == ''",
    "'1a2b'.findAll('[0-9]') == ['1', '2'] && '1a2b'.findAll('[0-9]', 1) == ['1']",
    "quantity('1000m') == quantity('1') && quantity('1Gi').isGreaterThan(quantity('1G'))",
    "quantity('1').add(1).sub(quantity('500m')).compareTo(quantity('1500m')) == 0",
    "quantity('-1').sign() == -1 && quantity('2k').asInteger() == 2000",
    "quantity('50k').isInteger() && !quantity('1500m').isInteger()",
    "quantity('1500m').asApproximateFloat() == 1.5 && quantity('1').isLessThan(quantity('2'))",
    "isQuantity('1.5Gi') && !isQuantity('Gi')",
    "ip('::1').family() == 6 && ip('::1').isLoopback() && ip('0.0.0.0').isUnspecified()",
    "ip('fe80::1').isLinkLocalUnicast() && ip('224.0.0.1').isLinkLocalMulticast()",
    "ip('8.8.8.8').isGlobalUnicast() && string(ip('10.0.0.1')) == '10.0.0.1'",
    "isIP('::') && !isIP('::ffff:1.2.3.4') && !isIP('fe80::1%eth0') && !isIP('1.2.3')",
    "ip.isCanonical('::1') && !ip.isCanonical('0::1')",
    "cidr('10.0.0.0/8').containsIP('10.1.1.1') && cidr('10.0.0.0/8').containsIP(ip('10.0.0.1'))",
    "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && !isCIDR('10.0.0.0')",
    "cidr('10.0.0.0/8').containsCIDR(cidr('10.1.0.0/16'))",
    "cidr('10.0.0.1/8').prefixLength() == 8 && cidr('10.0.0.1/8').ip() == ip('10.0.0.1')",
    "cidr('10.0.0.1/8').masked() == cidr('10.0.0.0/8')",
    "string(cidr('10.0.0.0/8')) == '10.0.0.0/8'",
    "url('https://u@h.example:80/a').getHost() == 'h.example:80'",
    "url('https://h.example:80/a?k=v&k=w').getQuery() == {'k': ['v', 'w']}",
    "url('https://h.example:80/a').getPort() == '80' && url('/p').getEscapedPath() == '/p'",
    "url('https://[::1]:80/a').getHostname() == '::1' && url('https://h/').getScheme() == 'https'",
    "isURL('https://h/') && !isURL('h') && !isURL('https://h:x/')",
    "semver('1.2.3-a.1').isLessThan(semver('1.2.3-a.b')) && isSemver('1.0.0') && !isSemver('v1')",
    "semver('2.0.0').isGreaterThan(semver('1.9.9'))",
    "semver('1.0.0').compareTo(semver('1.0.0')) == 0",
    "semver('v1.2', true).minor() == 2 && semver('1.2.3').major() == 1 && isSemver('v01', true)",
    "semver('1.2.3').patch() == 3",
    "self.?missing.orValue(3) == 3 && optional.of(1).hasValue()",
    "math.greatest(1, 2) == 2 && cel.bind(x, 3, x + 1) == 4 && 'A'.lowerAscii() == 'a'",
]


@pytest.mark.parametrize("rule", TRUE)
def test_a_function_gives_what_the_real_one_gives(rule: str) -> None:
    assert ENVIRONMENT.compile(rule).evaluate({"self": {}}) is True


WRONG = {
    "[].min() == 1": "min called on empty list",
    "[].max() == 1": "max called on empty list",
    "quantity('x') == quantity('1')": "quantities must match the regular expression",
    "quantity('1500m').asInteger() == 1": "cannot convert value to integer",
    "ip('1.2') == ip('::')": "parse error during conversion from string",
    "cidr('1.2.3.4') == cidr('::/0')": "parse error during conversion from string",
    "url('h') == url('/')": "invalid URI for request",
    "semver('1') == semver('2')": "is not a semantic version",
    "quantity('1').isLessThan(semver('1.0.0'))": "no such overload",
    "'a'.find('(') == ''": "illegal regex",
}


@pytest.mark.parametrize("rule", WRONG)
def test_a_value_that_does_not_fit_is_said(rule: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        ENVIRONMENT.compile(rule).evaluate({"self": {}})
    assert WRONG[rule] in str(caught.value)
