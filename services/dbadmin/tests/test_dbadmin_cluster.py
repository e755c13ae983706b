"""Targets from Kubernetes: which URLs an object publishes, and what becomes of them as the cluster changes."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from fake_cluster import FakeCluster, gateway, ingress, listener, route, rule
from hypothesis import given, settings
from hypothesis import strategies as st

from dbadmin.cli import main
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from dbadmin.kubernetes_api import KubernetesApi
from dbadmin.targets.cluster.annotations import FIELDS, wishes_of
from dbadmin.targets.cluster.ingresses import of_ingress
from dbadmin.targets.cluster.listing import PAGE, Cluster
from dbadmin.targets.cluster.routes import of_route
from dbadmin.targets.cluster.source import Terms, read_cluster
from dbadmin.targets.table import add, read_all
from monitoring_core.targets import TargetRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from monitoring_core.config import Config

REFUSED = ("url", "id", "active", "headers", "secret_headers", "body", "method", "connect_to", "client_certificate")
YOUNG = dt.timedelta(minutes=1)


@pytest.mark.parametrize(
    ("rules", "tls", "urls", "remarks"),
    [
        ([rule("a.example", "/")], None, ["http://a.example/"], []),
        ([rule("a.example", "/", "/api")], [{"hosts": ["a.example"]}],
         ["https://a.example/", "https://a.example/api"], []),
        ([rule("a.example", "/"), rule("b.example", "/")], [{"hosts": ["b.example"], "secretName": "tls"}],
         ["http://a.example/", "https://b.example/"], []),
        ([rule("a.b.example", "/"), rule("b.example", "/")], [{"hosts": ["*.b.example"]}],
         ["https://a.b.example/", "http://b.example/"], []),
        ([rule("a.c.b.example", "/")], [{"hosts": ["*.b.example"]}], ["http://a.c.b.example/"], []),
        ([rule("a.example", "/")], [{"secretName": "tls"}], ["https://a.example/"], []),
        ([rule("a.example")], None, ["http://a.example/"], []),
        ([rule(None, "/x")], None, [], ["a rule without a host has no URL"]),
        ([rule("*.example", "/x")], None, [], ["*.example stands for many hosts"]),
        ([rule("a.example", "/*", "/b/.*", "/c", kind="ImplementationSpecific")], None,
         ["http://a.example/", "http://a.example/b/", "http://a.example/c"], []),
        ([rule("a.example", "/api(/|$)(.*)", kind="ImplementationSpecific")], None, [],
         ["'/api(/|$)(.*)' of a.example is no plain path"]),
        ([rule("a.example", "/\x1b[2J", "/a b", "/?x", "/#x")], None, [],
         [f"{path!r} of a.example is no plain path" for path in ("/\x1b[2J", "/a b", "/?x", "/#x")]),
    ],
)  # fmt: skip
def test_an_ingress_publishes_its_hosts_and_paths(
    rules: list[dict[str, Any]], tls: list[dict[str, Any]] | None, urls: list[str], remarks: list[str]
) -> None:
    """With https where its section tls has the host; what has no URL is told."""
    found = of_ingress(ingress("shop/web", rules, tls))
    assert [address.url for address in found.addresses if address.path] == urls
    assert [*found.remarks, *found.path_remarks] == remarks


GATEWAYS = {
    ("infra", "public"): gateway(
        "infra/public",
        listener("http", 80, "HTTP"),
        listener("https", 443, "HTTPS"),
        listener("raw", 5432, "TCP"),
    ),
    ("infra", "wild"): gateway("infra/wild", listener("https", 8443, "HTTPS", "*.shop.example")),
    ("shop", "own"): gateway(
        "shop/own", listener("one", 80, "HTTP", "one.example"), listener("two", 8080, "HTTP", "two.example")
    ),
}
PUBLIC, WILD, OWN = {"namespace": "infra", "name": "public"}, {"namespace": "infra", "name": "wild"}, {"name": "own"}


@pytest.mark.parametrize(
    ("parents", "hosts", "paths", "urls", "remarks"),
    [
        ([PUBLIC], ["a.example"], ["/", "/api"], ["https://a.example/", "https://a.example/api"], []),
        ([PUBLIC | {"sectionName": "http"}], ["a.example"], [], ["http://a.example/"], []),
        ([PUBLIC | {"port": 80}], ["a.example"], [], ["http://a.example/"], []),
        ([WILD], ["a.shop.example", "a.b.shop.example", "shop.example", "other.example"], [],
         ["https://a.shop.example:8443/", "https://a.b.shop.example:8443/"], []),
        ([WILD], [], [], [], ["*.shop.example stands for many hosts"]),
        ([OWN], [], [], ["http://one.example/", "http://two.example:8080/"], []),
        ([OWN], ["*.example"], [], ["http://one.example/", "http://two.example:8080/"], []),
        ([OWN], ["one.example", "three.example"], [], ["http://one.example/"], []),
        ([OWN | {"sectionName": "two"}], ["one.example"], [], [], []),
        ([PUBLIC], [], [], [], ["neither the route nor the listener has a host"]),
        ([PUBLIC], ["*.example"], [], [], ["*.example stands for many hosts"]),
        ([{"name": "none"}], ["a.example"], [], [], ["there is no Gateway shop/none"]),
        ([{"group": "", "kind": "Service", "name": "web"}], ["a.example"], [], [], []),
        ([], ["a.example"], [], [], []),
    ],
)  # fmt: skip
def test_a_route_publishes_its_hosts_at_the_listeners_of_its_gateways(
    parents: list[dict[str, Any]], hosts: list[str], paths: list[str], urls: list[str], remarks: list[str]
) -> None:
    """With their schemes and ports, and https alone where a host has it."""
    found = of_route(route("shop/web", parents, hosts, *paths), lambda *name: GATEWAYS.get(name))
    assert [address.url for address in found.addresses if address.path] == urls
    assert [*found.remarks, *found.path_remarks] == remarks
    assert found.served == bool(parents)


@pytest.mark.parametrize(
    ("match", "url"),
    [
        ({}, "http://one.example/"),
        ({"path": {"type": "Exact", "value": "/x"}}, "http://one.example/x"),
        ({"path": {"type": "RegularExpression", "value": "/x"}}, None),
        ({"path": {"type": "PathPrefix", "value": "/x"}, "method": "GET"}, "http://one.example/x"),
        ({"method": "POST"}, None),
        ({"headers": [{"name": "X", "value": "y"}]}, None),
        ({"queryParams": [{"name": "x", "value": "y"}]}, None),
    ],
)
def test_a_route_is_asked_for_by_a_plain_get(match: dict[str, Any], url: str | None) -> None:
    """What wants a header, another method or a pattern is told."""
    made = route("shop/web", [OWN], ["one.example"])
    made["spec"]["rules"] = [{"matches": [match]}]
    found = of_route(made, lambda *name: GATEWAYS.get(name))
    assert [address.url for address in found.addresses if address.path] == ([url] if url else [])
    assert bool(found.path_remarks) == (url is None)


@pytest.mark.parametrize(
    ("annotations", "faults"),
    [
        ({"watch": "yes"}, ["watch: must be true or false, got 'yes'"]),
        ({"wacth": "true"}, ["wacth: no such annotation; did you mean watch?"]),
        ({"scheme": "ftp"}, ["scheme: must be http or https, got 'ftp'"]),
        ({"paths": "health"}, ["paths: must be paths like /health,/login, got 'health'"]),
        ({"paths": " , "}, ["paths: must be paths like /health,/login, got ' , '"]),
        ({"timeout_s": "ten", "regexp": "("}, [
            "timeout_s: must be a number, got 'ten'",
            "regexp: is not a regular expression that RE2 takes: missing ): (",
        ]),
        ({"labels": "team=shop"}, ["labels: must be a JSON object"]),
        ({"labels": '{"managed-by": "me"}'}, ["labels.managed-by is set by apply"]),
        *(({name: "x"}, [f"{name}: no such annotation"]) for name in REFUSED),
    ],
)  # fmt: skip
def test_an_annotation_that_is_wrong_is_told(annotations: dict[str, str], faults: list[str]) -> None:
    """Also a field by which whoever may change an Ingress could send secrets or requests elsewhere."""
    found = wishes_of({f"availability-monitor/{name}": value for name, value in annotations.items()}).faults
    assert len(found) == len(faults)
    assert all(one.startswith(fault) for one, fault in zip(found, faults, strict=True)), found


def test_annotations_say_what_is_asked_and_how() -> None:
    """Every field in the words of a CSV file; annotations of others say nothing."""
    said = {
        "check_interval_s": "30",
        "timeout_s": "2.5",
        "degraded_above_s": "1",
        "expected_status": "200,401",
        "regexp": "a",
        "forbidden_regexp": "b",
        "further_regexps": '["c"]',
        "further_forbidden_regexps": '["d"]',
        "expected_headers": '{"X": "y"}',
        "expected_json": '{"$.ok": true}',
        "follow_redirects": "false",
        "verify_tls": "false",
        "address_family": "ipv4",
        "labels": '{"team": "shop"}',
    }
    assert set(said) == set(FIELDS)
    found = wishes_of({f"availability-monitor/{name}": value for name, value in said.items()} | {"other/watch": "x"})
    assert (found.watch, found.paths, found.scheme, found.faults) == (None, (), None, ())
    assert found.record == TargetRecord(
        url=found.record.url,
        check_interval_s=30,
        timeout_s=2.5,
        degraded_above_s=1.0,
        expected_status="200,401",
        regexp="a",
        forbidden_regexp="b",
        further_regexps=["c"],
        further_forbidden_regexps=["d"],
        expected_headers={"X": "y"},
        expected_json={"$.ok": True},
        follow_redirects=False,
        verify_tls=False,
        address_family="ipv4",
        labels={"team": "shop"},
    )


_text = st.text(max_size=12) | st.sampled_from(
    ["/", "*.example", "a.example", "true", "https", "/x,/y", "{}", "[", "1"]
)
_names = st.sampled_from(["watch", "paths", "scheme", "other", *FIELDS])


class Found(Cluster):
    """A cluster with one Ingress and one HTTPRoute, which is asked for nothing."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        super().__init__(KubernetesApi(), ())
        self._ingress, self._route = objects

    def ingresses(self) -> Iterator[dict[str, Any]]:
        yield self._ingress

    def knows_routes(self) -> bool:
        return True

    def routes(self) -> Iterator[dict[str, Any]]:
        yield self._route

    def gateway(self, namespace: str, name: str) -> dict[str, Any] | None:
        return GATEWAYS.get((namespace, name))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_an_object_holds_its_targets_can_be_asked_for(data: st.DataObject) -> None:
    """By URLs that every producer takes, with keys and URLs of which each is there once; all else is told."""
    draw, made = data.draw, []
    for kind in ("ingress", "route"):
        annotations = draw(st.dictionaries(_names, _text, max_size=3))
        paths = draw(st.lists(_text, max_size=3))
        hosts = draw(st.lists(_text, max_size=3))
        if kind == "ingress":
            types = st.sampled_from(["Prefix", "Exact", "ImplementationSpecific"])
            rules = [rule(host, *paths, kind=draw(types)) for host in hosts]
            made.append(
                ingress("shop/web", rules, draw(st.none() | st.just([{"hosts": hosts[:1]}])), YOUNG, **annotations)
            )
        else:
            parent = draw(st.sampled_from([PUBLIC, WILD, OWN, {"name": "none"}]))
            made.append(route("shop/web", [parent], hosts, *paths, age=YOUNG, accepted="True", **annotations))
    found = read_cluster(Found(*made), "shop", Terms(dt.timedelta(), opt_in=False), dt.datetime.now(dt.UTC))
    assert all(one.record.problems() == [] and one.record.active for one in found.targets)
    assert all(
        (one.record.headers, one.record.body, one.record.connect_to) == (None, None, None) for one in found.targets
    )
    for names in ([one.key for one in found.targets], [one.record.url for one in found.targets]):
        assert len(names) == len(set(names))
    assert all((one.record.labels or {})["namespace"] == "shop" for one in found.targets)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """The cluster of the current context."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))
    made = FakeCluster()
    with made.running(tmp_path / "kubeconfig"):
        yield made


@pytest.fixture
def run(config: Config, config_file: Path, cluster: FakeCluster) -> Callable[..., tuple[int, list[str], list[str]]]:
    """A command with the targets of the cluster: its status and what it said."""
    create_database(config.database)
    list(create_schema(config.database, dt.date(2026, 3, 1)))

    def command(name: str, *arguments: str) -> tuple[int, list[str], list[str]]:
        more = ["--yes"] if name == "apply" else []
        done = CliRunner().invoke(
            main, ["targets", name, "--from", "kubernetes", *more, *arguments, "--config", str(config_file)]
        )
        return done.exit_code, done.stdout.splitlines(), done.stderr.splitlines()

    return command


def watched(config: Config) -> dict[str, int | None]:
    """The ids of what is checked, by URL."""
    return {one.url: one.id for one in read_all(config.database) if one.active}


@pytest.mark.integration_test
def test_what_a_cluster_publishes_is_watched(
    run: Callable[..., tuple[int, list[str], list[str]]], config: Config, cluster: FakeCluster
) -> None:
    """With its namespace and its annotations; a second time nothing is changed."""
    tls = [{"hosts": ["shop.example"]}]
    cluster.objects["ingresses"] = [
        ingress(
            "shop/web", [rule("shop.example", "/", "/cart")], tls, check_interval_s="30", labels='{"team": "shop"}'
        ),
        ingress("shop/internal", [rule("internal.example", "/")], watch="false"),
        ingress("shop/solver", [rule("shop.example", "/.well-known/acme-challenge/x1")]),
        ingress("blog/web", [rule("blog.example", "/(.*)"), rule(None, "/")], paths="/health /feed", scheme="https"),
    ]
    cluster.objects["httproutes"] = [route("api/web", [PUBLIC], ["api.example"], "/v1")]
    cluster.objects["gateways"] = list(GATEWAYS.values())
    assert run("plan")[1][:9] == [
        "+ httproute/api/web/api.example/v1  https://api.example/v1",
        "    labels.managed-by: kubernetes",
        "    labels.managed-key: httproute/api/web/api.example/v1",
        "    labels.namespace: api",
        "+ ingress/blog/web/blog.example/feed  https://blog.example/feed",
        "    labels.managed-by: kubernetes",
        "    labels.managed-key: ingress/blog/web/blog.example/feed",
        "    labels.namespace: blog",
        "+ ingress/blog/web/blog.example/health  https://blog.example/health",
    ]
    status, said, aside = run("apply")
    assert (status, said[-1]) == (0, "kubernetes: 5 added, 0 changed, 0 unchanged")
    assert aside == ["ingress blog/web: a rule without a host has no URL"]
    assert set(watched(config)) == {
        "https://blog.example/health",
        "https://blog.example/feed",
        "https://shop.example/",
        "https://shop.example/cart",
        "https://api.example/v1",
    }
    (cart,) = [one for one in read_all(config.database) if one.url.endswith("/cart")]
    assert (cart.check_interval_s, cart.labels) == (
        30,
        {
            "namespace": "shop",
            "team": "shop",
            "managed-by": "kubernetes",
            "managed-key": "ingress/shop/web/shop.example/cart",
        },
    )
    assert run("apply")[1] == ["kubernetes: 0 added, 0 changed, 5 unchanged"]
    assert run("plan", "--opt-in", "--max-gone", "100")[1][-1] == (
        "kubernetes: 0 to add, 0 to change, 5 to deactivate, 0 unchanged"
    )


@pytest.mark.integration_test
def test_what_is_young_is_watched_after_its_grace(
    run: Callable[..., tuple[int, list[str], list[str]]], config: Config, cluster: FakeCluster
) -> None:
    """And what no Gateway accepts yet. What is there already stays, though its object is made anew."""
    young = ingress("shop/new", [rule("new.example", "/")], age=YOUNG)
    refused = route("shop/refused", [OWN], ["one.example"], accepted="False")
    cluster.objects |= {"ingresses": [young], "httproutes": [refused], "gateways": list(GATEWAYS.values())}
    assert run("apply")[1] == ["kubernetes: 0 added, 0 changed, 0 unchanged, 2 waiting"]
    assert run("apply", "--grace", "30s")[1][-1] == "kubernetes: 1 added, 0 changed, 0 unchanged, 1 waiting"
    cluster.objects["httproutes"] = [route("shop/refused", [OWN], ["one.example"])]
    assert run("apply")[1][-1] == "kubernetes: 1 added, 0 changed, 1 unchanged"
    cluster.objects["httproutes"] = [refused]
    assert run("apply")[1] == ["kubernetes: 0 added, 0 changed, 2 unchanged"]
    cluster.objects["ingresses"] = [ingress("shop/new", [rule("new.example", "/")], [{}], age=YOUNG)]
    assert run("apply")[1] == [
        "~ ingress/shop/new/new.example/  https://new.example/",
        "    url: http://new.example/ -> https://new.example/",
        "kubernetes: 0 added, 1 changed, 1 unchanged",
    ]
    assert watched(config) == {"https://new.example/": 1, "http://one.example/": 2}
    made = cluster.objects["ingresses"].pop()
    run("apply")
    cluster.objects["ingresses"].append(made)
    assert run("apply")[1] == ["kubernetes: 0 added, 0 changed, 1 unchanged, 1 waiting"]
    assert run("apply", "--grace", "30s")[1][1:] == [
        "    active: false -> true",
        "kubernetes: 0 added, 1 changed, 1 unchanged",
    ]
    assert watched(config) == {"https://new.example/": 1, "http://one.example/": 2}


@pytest.mark.integration_test
def test_an_ingress_that_becomes_a_route_stays_the_same_website(
    run: Callable[..., tuple[int, list[str], list[str]]], config: Config, cluster: FakeCluster
) -> None:
    """All that is stored of it stays with it, also while there are both, of which the older has it."""
    old = ingress("shop/web", [rule("one.example", "/")])
    new = route("shop/web", [OWN], ["one.example"], age=YOUNG)
    cluster.objects |= {"ingresses": [old], "gateways": list(GATEWAYS.values())}
    run("apply")
    cluster.objects["httproutes"] = [new]
    status, said, aside = run("apply")
    assert (status, said) == (0, ["kubernetes: 0 added, 0 changed, 1 unchanged"])
    assert aside == ["httproute shop/web: http://one.example/ is that of ingress shop/web too, which is older"]
    cluster.objects["ingresses"] = []
    assert run("apply")[1] == [
        "~ httproute/shop/web/one.example/  http://one.example/",
        "    labels.managed-key: ingress/shop/web/one.example/ -> httproute/shop/web/one.example/",
        "kubernetes: 0 added, 1 changed, 0 unchanged",
    ]
    assert watched(config) == {"http://one.example/": 1}


@pytest.mark.integration_test
def test_an_object_with_a_fault_is_left_as_it_is_and_all_others_are_done(
    run: Callable[..., tuple[int, list[str], list[str]]], config: Config, cluster: FakeCluster
) -> None:
    """A mistake in one namespace keeps nobody else from being watched; the status says that there is one."""
    cluster.objects["ingresses"] = [ingress("shop/web", [rule("shop.example", "/")])]
    run("apply")
    cluster.objects["ingresses"] = [
        ingress("shop/web", [rule("other.example", "/")], check_interval_s="soon"),
        ingress("blog/web", [rule("blog.example", "/")]),
    ]
    for command, done in (("plan", "to add, 0 to change"), ("apply", "added, 0 changed")):
        status, said, aside = run(command)
        assert (status, said[-1]) == (1, f"kubernetes: 1 {done}, 0 unchanged")
        assert aside == [
            "ingress shop/web: availability-monitor/check_interval_s: must be a whole number, got 'soon'",
        ]
    assert set(watched(config)) == {"http://shop.example/", "http://blog.example/"}


@pytest.mark.integration_test
def test_a_url_that_is_taken_is_told_and_left_out(
    run: Callable[..., tuple[int, list[str], list[str]]], config: Config, cluster: FakeCluster
) -> None:
    """It is watched already; all others are done."""
    add(config.database, TargetRecord(url="http://shop.example/", check_interval_s=10))
    rules = [rule("shop.example", "/", "/cart")]
    cluster.objects["ingresses"] = [ingress("shop/web", rules)]
    status, said, _ = run("apply")
    assert (status, said[-1]) == (0, "kubernetes: 1 added, 0 changed, 0 unchanged")
    taken = "http://shop.example/ is target 1, which belongs to nobody: --adopt takes it over"
    assert said[0] == f"! ingress/shop/web/shop.example/  {taken}"
    assert run("apply", "--adopt")[1][-1] == "kubernetes: 0 added, 1 taken over, 0 changed, 1 unchanged"
    assert run("apply")[1] == ["kubernetes: 0 added, 0 changed, 2 unchanged"]


@pytest.mark.integration_test
def test_what_is_young_is_not_watched_by_being_taken_over(
    run: Callable[..., tuple[int, list[str], list[str]]], config: Config, cluster: FakeCluster
) -> None:
    """A target that somebody let go waits as a new one does; one that is watched is taken over as it is."""
    for host in ("old.example", "new.example"):
        add(config.database, TargetRecord(url=f"http://{host}/", active=host == "old.example"))
    rules = [rule("old.example", "/"), rule("new.example", "/")]
    cluster.objects["ingresses"] = [ingress("shop/web", rules, age=YOUNG)]
    assert run("apply", "--adopt")[1][-1] == "kubernetes: 0 added, 1 taken over, 0 changed, 0 unchanged, 1 waiting"
    assert watched(config) == {"http://old.example/": 1}
    assert run("apply", "--adopt", "--grace", "0s")[1][-1] == (
        "kubernetes: 0 added, 1 taken over, 0 changed, 1 unchanged"
    )
    assert watched(config) == {"http://old.example/": 1, "http://new.example/": 2}


@pytest.mark.integration_test
def test_all_pages_of_all_namespaces_are_read(
    run: Callable[..., tuple[int, list[str], list[str]]], config: Config, cluster: FakeCluster
) -> None:
    """Or of those that are named; what is deleted is no longer there."""
    cluster.objects["ingresses"] = [
        ingress(f"n{i % 3}/web-{i}", [rule(f"{i}.example", "/")]) for i in range(2 * PAGE + 1)
    ]
    cluster.objects["ingresses"][0]["metadata"]["deletionTimestamp"] = "2026-11-27T00:00:00Z"
    assert run("apply")[1][-1] == f"kubernetes: {2 * PAGE:,} added, 0 changed, 0 unchanged"
    assert len([path for path in cluster.asked if "/ingresses" in path]) == 3
    status, said, _ = run("plan", "--namespace", "n1", "--namespace", "n2", "--owner", "some")
    assert (status, said[-1]) == (0, "some: 0 to add, 0 to change, 0 unchanged")
    assert {path.partition("?")[0] for path in cluster.asked[-5:] if "namespaces" in path} == {
        f"/apis/{group}/v1/namespaces/{name}/{kind}"
        for name in ("n1", "n2")
        for group, kind in (("networking.k8s.io", "ingresses"), ("gateway.networking.k8s.io", "httproutes"))
    }


@pytest.mark.integration_test
@pytest.mark.parametrize(
    ("kind", "status", "said"),
    [
        ("ingresses", 403, "the account may not read {what}: give it the verb list on {what}"),
        ("httproutes", 403, "the account may not read {what}: give it the verb list on {what}"),
        ("gateways", 403, "the account may not read {what}: give it the verb get on {what} in infra"),
        ("ingresses", 401, "Kubernetes does not know who asks: log in again"),
        ("httproutes", 500, "{what} cannot be read: status 500 Internal Server Error"),
        ("httproutes", 410, "the list of {what} was too old when its end was asked for: run it again"),
    ],
)
def test_a_cluster_that_cannot_be_read_as_a_whole_changes_nothing(
    run: Callable[..., tuple[int, list[str], list[str]]],
    config: Config,
    cluster: FakeCluster,
    kind: str,
    status: int,
    said: str,
) -> None:
    """What is not seen would be let go."""
    cluster.objects["ingresses"] = [ingress("shop/web", [rule("shop.example", "/")])]
    cluster.objects["httproutes"] = [route("api/web", [PUBLIC], ["api.example"])]
    cluster.objects["gateways"] = list(GATEWAYS.values())
    run("apply")
    before = watched(config)
    cluster.objects["ingresses"].pop()
    cluster.refusals[kind] = (status, "refused")
    what = f"{kind}.{'networking.k8s.io' if kind == 'ingresses' else 'gateway.networking.k8s.io'}"
    assert run("apply", "--max-gone", "100") == (1, [], [said.format(what=what)])
    assert watched(config) == before
    assert len(before) == 2


@pytest.mark.integration_test
def test_what_lost_its_gateway_is_still_watched(
    run: Callable[..., tuple[int, list[str], list[str]]], config: Config, cluster: FakeCluster
) -> None:
    """Also when the definitions of all routes are: that is an outage, and no wish. A route that is deleted is one."""
    cluster.objects["ingresses"] = [ingress("shop/web", [rule("shop.example", "/")])]
    cluster.objects["httproutes"] = [route("api/web", [PUBLIC, WILD], ["api.example", "a.shop.example"])]
    cluster.objects["gateways"] = list(GATEWAYS.values())
    run("apply")
    before = watched(config)
    assert set(before) == {
        "http://shop.example/",
        "https://api.example/",
        "https://a.shop.example/",
        "https://a.shop.example:8443/",
    }
    cluster.objects["gateways"] = [GATEWAYS["infra", "wild"]]
    status, _, aside = run("apply", "--max-gone", "100")
    assert (status, aside) == (0, ["httproute api/web: there is no Gateway infra/public"])
    everything = cluster.objects
    cluster.objects = {"ingresses": everything["ingresses"]}
    assert run("apply", "--max-gone", "100") == (0, ["kubernetes: 0 added, 0 changed, 1 unchanged"], [])
    assert watched(config) == before
    cluster.objects = everything | {"httproutes": []}
    run("apply", "--max-gone", "100")
    assert set(watched(config)) == {"http://shop.example/"}


@pytest.mark.integration_test
def test_whoever_wants_no_watch_has_none_though_the_gateway_is_gone(
    run: Callable[..., tuple[int, list[str], list[str]]], config: Config, cluster: FakeCluster
) -> None:
    """The annotation is a wish, also where the cluster cannot tell what the route publishes."""
    cluster.objects["httproutes"] = [route("api/web", [PUBLIC], ["api.example"])]
    cluster.objects["gateways"] = list(GATEWAYS.values())
    run("apply")
    assert set(watched(config)) == {"https://api.example/"}
    cluster.objects |= {"httproutes": [route("api/web", [PUBLIC], ["api.example"], watch="false")], "gateways": []}
    assert run("apply", "--max-gone", "100")[1][-1] == "kubernetes: 0 added, 0 changed, 1 deactivated, 0 unchanged"
    assert watched(config) == {}


@pytest.mark.integration_test
def test_what_is_no_cluster_changes_nothing(
    run: Callable[..., tuple[int, list[str], list[str]]], config: Config, cluster: FakeCluster
) -> None:
    """A wrong address may answer, and know of nothing."""
    cluster.objects["ingresses"] = [ingress("shop/web", [rule("shop.example", "/")])]
    run("apply")
    cluster.objects = {}
    said = "ingresses.networking.k8s.io cannot be read: status 404 Not Found"
    assert run("apply", "--max-gone", "100") == (1, [], [said])
    assert set(watched(config)) == {"http://shop.example/"}


@pytest.mark.integration_test
def test_a_context_that_there_is_not_is_told(
    run: Callable[..., tuple[int, list[str], list[str]]], cluster: FakeCluster
) -> None:
    """And no other is used in its place."""
    status, _, aside = run("plan", "--context", "elsewhere")
    assert (status, len(aside)) == (1, 1)
    assert aside[0].startswith("ingresses.networking.k8s.io cannot be read: the context elsewhere cannot be used: ")
    assert run("plan", "--context", "here")[0] == 0
