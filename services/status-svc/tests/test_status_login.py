"""People log in with an OpenID provider: who is let in, for how long, and whom no lie lets in."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hashlib
import hmac
import json
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import attrs
import pytest
import requests
import structlog
import yaml
from click.testing import CliRunner
from database_rows import PUBLIC, Rows, status
from joserfc import jwt
from joserfc.jwk import RSAKey
from openid_provider import CLIENT_ID, CLIENT_SECRET, Provider, new_key, provider, sign
from serving import KEY, Site, served
from starlette.responses import JSONResponse, Response, StreamingResponse

from monitoring_core.config import StatusConfig, load_config
from monitoring_core.tables import EVERYBODY
from monitoring_core.testing.clock import FakeClock
from status_svc.adapters import openid
from status_svc.admission import admits
from status_svc.cli import main
from status_svc.login import COOKIE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

HTML = {"Accept": "text/html"}
HOUR_S = 3_600
INNER_ONLY = "https://shop.internal.example/"
LATER = 10 * HOUR_S


@pytest.fixture
def issuer() -> Iterator[Provider]:
    with provider() as one:
        yield one


def settings(issuer: Provider, **others: Any) -> StatusConfig:
    usual = StatusConfig(
        cache=dt.timedelta(seconds=1),
        oidc_issuer=issuer.issuer,
        oidc_client_id=CLIENT_ID,
        oidc_allowed=("groups=operators",),
    )
    return attrs.evolve(usual, **others)


def rows() -> Rows:
    return Rows(status(1, INNER_ONLY, PUBLIC | {"name": "Shop"}))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(int(time.time() * 1_000))


@pytest.fixture
def site(issuer: Provider, clock: FakeClock) -> Iterator[Site]:
    with served(rows(), settings(issuer), clock) as one:
        yield one


@attrs.frozen
class Person:
    """A browser of somebody, which follows redirects and keeps cookies."""

    site: Site
    session: requests.Session = attrs.field(factory=requests.Session)

    @property
    def cookie(self) -> str:
        """The only cookie that it has."""
        assert self.session.cookies.keys() == [COOKIE]
        return str(self.session.cookies[COOKIE])

    def opens(self, path: str, **options: Any) -> requests.Response:
        """Open a page of the site, or a whole URL."""
        url = path if path.startswith("http") else self.site.address + path
        return self.session.get(url, headers=HTML | options.pop("headers", {}), timeout=60, **options)

    def begins(self, path: str = "inner/") -> requests.Response:
        """Go as far as the provider, which sends back; give its answer, which is not followed."""
        return self.opens(self.opens(path, allow_redirects=False).headers["Location"], allow_redirects=False)

    def sees(self) -> bool:
        """Whether the inner pages are shown without a login."""
        answer = self.opens("inner/components/1.html", allow_redirects=False)
        assert (INNER_ONLY in answer.text) == (answer.status_code == 200)
        return answer.status_code == 200


@pytest.fixture
def person(site: Site) -> Person:
    return Person(site)


def test_who_logs_in_sees_the_page_that_was_asked_for(person: Person, issuer: Provider) -> None:
    """And everything else inside, until the browser logs out."""
    assert not person.sees()
    answer = person.opens("inner/components/1.html")
    assert answer.url == person.site.address + "inner/components/1.html"
    assert INNER_ONLY in answer.text
    assert person.sees()
    assert person.opens("inner/").status_code == 200
    assert issuer.asked.count("/token") == 1
    assert issuer.seen["redirect_uri"] == person.site.address + "inner/callback"
    assert issuer.seen["scope"] == "openid email"
    left = person.session.post(person.site.address + "inner/logout", timeout=60)
    assert left.url == person.site.address
    assert not person.session.cookies
    assert not person.sees()


@pytest.mark.parametrize(
    ("query", "back"),
    [
        ("q=team%3Dshop+%C3%A9&state=not-up", "q=team%3Dshop+%C3%A9&state=not-up"),
        ("q=a b/../../\\\\evil.example/", "q=a+b%2F..%2F..%2F%5C%5Cevil.example%2F"),
        ("next=https://evil.example/&q=a%0d%0aLocation:x", "q=a+Location%3Ax"),
        (f"q={'%f0%9f%98%80' * 60}", ""),
    ],
)
def test_who_logs_in_comes_back_to_what_was_searched_for(person: Person, query: str, back: str) -> None:
    """Nowhere else, whatever the query is: what is no search, or what a cookie has no room for, is left out."""
    answer = person.opens(f"inner/?{query}")
    assert answer.status_code == 200
    assert answer.url == person.site.address + "inner/" + (f"?{back}" if back else "")


def test_the_cookie_is_for_the_inner_pages_alone(person: Person) -> None:
    """No script and no other site gets it, and it holds neither tokens nor claims."""
    back = person.begins()
    answer = person.opens(back.headers["Location"], allow_redirects=False)
    (cookie,) = (value for name, value in answer.raw.headers.items() if name.lower() == "set-cookie")
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert parts == {"path=/inner/", "max-age=28800", "httponly", "samesite=lax"}
    kept = json.loads(base64.b64decode(cookie.split("=", 1)[1].split(".")[0]))
    assert kept.keys() == {"who", "since", "until"}
    assert answer.headers["Cache-Control"] == "no-store"
    public = person.opens("")
    assert "Set-Cookie" not in public.headers
    assert "Cookie" not in public.request.headers


def test_behind_a_proxy_the_address_is_the_public_one(issuer: Provider) -> None:
    """Whatever host a request names; with https, the cookie goes over nothing else."""
    with served(rows(), settings(issuer, public_url="https://status.example.org/shops/")) as site:
        answer = Person(site).opens("inner/", headers={"Host": "evil.example"}, allow_redirects=False)
    asked = dict(parse_qsl(urlsplit(answer.headers["Location"]).query))
    assert asked["redirect_uri"] == "https://status.example.org/shops/inner/callback"
    assert "; path=/shops/inner/;" in answer.headers["Set-Cookie"]
    assert answer.headers["Set-Cookie"].endswith("; secure")


def test_a_session_ends_after_its_time(person: Person, clock: FakeClock) -> None:
    """However often it is used."""
    person.opens("inner/")
    for _ in range(7):
        clock.advance(HOUR_S)
        assert person.sees()
    clock.advance(HOUR_S)
    assert not person.sees()


def test_a_page_that_stays_open_hears_nothing_after_its_session(person: Person, clock: FakeClock) -> None:
    """The stream ends at what would have been told next; the browser comes back, and is not let in."""
    person.opens("inner/")
    with person.opens("inner/events", stream=True) as stream:
        lines = stream.iter_lines()
        assert next(line for line in lines if line.startswith(b"data:"))
        clock.advance(9 * HOUR_S)
        assert next((line for line in lines if line.startswith(b"data:")), None) is None
    assert person.opens("inner/events").status_code == 401


def test_a_cookie_of_other_rules_or_another_key_is_none(person: Person, issuer: Provider) -> None:
    """Whoever takes a group away from the rules, or changes the key, ends the sessions that there are."""
    person.opens("inner/")
    cookie = person.cookie
    for changed in ({"oidc_allowed": ("groups=others",)}, {"oidc_client_id": "another"}):
        with served(rows(), settings(issuer, **changed)) as site:
            other = Person(site)
            other.session.cookies.set(COOKIE, cookie, path="/inner/")
            assert not other.sees()
    with served(rows(), settings(issuer)) as site:
        same = Person(site)
        same.session.cookies.set(COOKIE, cookie, path="/inner/")
        assert same.sees()
        forged = cookie[:-2] + "AA"
        same.session.cookies.set(COOKIE, forged, path="/inner/")
        assert not same.sees()


@pytest.fixture
def copy(person: Person) -> Callable[[], Person]:
    """Makes a browser that has the cookie which a person has now."""

    def make() -> Person:
        other = Person(person.site)
        other.session.cookies.set(COOKIE, person.cookie, path="/inner/")
        return other

    return make


def log_out(person: Person) -> requests.Response:
    return person.session.post(person.site.address + "inner/logout", timeout=60)


def test_whoever_logs_out_ends_all_copies_of_the_cookie(person: Person, copy: Callable[[], Person]) -> None:
    """At once, in every browser; and may log in again."""
    person.opens("inner/")
    other = copy()
    assert other.sees()
    assert log_out(person).url == person.site.address
    assert not other.sees()
    person.opens("inner/")
    assert person.sees()
    assert not other.sees()


def test_an_operator_ends_the_logins_of_one_person(person: Person, issuer: Provider, clock: FakeClock) -> None:
    """Within status.cache; nobody else's. Who may still come in at the provider logs in again."""
    person.opens("inner/")
    issuer.change = {"sub": "grace"}
    other = Person(person.site)
    other.opens("inner/")
    person.site.rows.log_out(str(issuer.person["sub"]))
    clock.advance(1)
    assert not person.sees()
    assert other.sees()
    issuer.change = {}
    person.opens("inner/")
    assert person.sees()


def test_an_operator_ends_all_logins(person: Person, clock: FakeClock) -> None:
    person.opens("inner/")
    person.site.rows.log_out(EVERYBODY)
    clock.advance(1)
    assert not person.sees()
    person.opens("inner/")
    assert person.sees()


def test_while_postgresql_is_away_logins_count_as_was_known(
    person: Person, copy: Callable[[], Person], clock: FakeClock
) -> None:
    """Who was logged out stays out, and whoever reads reads on."""
    person.opens("inner/")
    ended = copy()
    log_out(person)
    person.opens("inner/")
    assert not ended.sees()
    person.site.rows.away = True
    clock.advance(2)
    assert person.opens("inner/").status_code == 200
    assert not ended.sees()


def test_that_logins_cannot_be_looked_up_is_told_once_and_its_end_too(person: Person, clock: FakeClock) -> None:
    """However many pages are opened meanwhile."""
    person.opens("inner/")
    with structlog.testing.capture_logs() as logged:
        for away in (True, True, True, False, False):
            person.site.rows.away = away
            clock.advance(2)
            assert person.opens("inner/").status_code == 200
    told = [line["event"] for line in logged if "log" in line["event"]]
    assert told == ["logins count as was read last", "who is logged in is known again"]


def test_a_process_that_never_knew_who_was_logged_out_shows_nothing(issuer: Provider, person: Person) -> None:
    """A login that was ended must not count again when PostgreSQL is away and a process is new."""
    person.opens("inner/")
    with served(rows(), settings(issuer)) as site:
        site.rows.away = True
        other = Person(site)
        other.session.cookies.set(COOKIE, person.cookie, path="/inner/")
        assert other.opens("inner/", allow_redirects=False).status_code == 503


def test_a_log_out_that_reaches_one_browser_alone_says_so(person: Person, copy: Callable[[], Person]) -> None:
    person.opens("inner/")
    other = copy()
    person.site.rows.away = True
    answer = log_out(person)
    assert answer.status_code == 503
    assert answer.text == "You are logged out in this browser. What else you have open stays open for now.\n"
    assert not person.session.cookies
    person.site.rows.away = False
    assert other.sees()


def test_a_page_that_stays_open_hears_nothing_after_a_log_out(
    person: Person, copy: Callable[[], Person], clock: FakeClock
) -> None:
    person.opens("inner/")
    other = copy()
    with other.opens("inner/events", stream=True) as stream:
        lines = stream.iter_lines()
        assert next(line for line in lines if line.startswith(b"data:"))
        log_out(person)
        assert not other.sees()
        person.site.rows.status[0]["status"] = "down"
        clock.advance(2)
        assert next((line for line in lines if line.startswith(b"data:")), None) is None


def test_no_other_site_logs_anybody_out(person: Person) -> None:
    """Without the cookie, which a browser does not send with a form of another site, nobody is logged out."""
    person.opens("inner/")
    assert requests.post(person.site.address + "inner/logout", timeout=60).url == person.site.address
    assert not person.site.rows.logouts
    assert person.sees()


def test_the_api_takes_no_cookie(person: Person) -> None:
    """A login is for pages, which change nothing; programs show a token."""
    person.opens("inner/")
    cookie = f"{COOKIE}={person.cookie}"
    for path in ("api/v1/targets", "metrics/websites"):
        assert requests.get(person.site.address + path, headers={"Cookie": cookie}, timeout=60).status_code == 401


def test_programs_are_asked_for_a_token(person: Person) -> None:
    """A page that is open when a session ends is not asked for a password."""
    for path, challenge in (("inner/feed.atom", "Basic"), ("inner/", "Basic"), ("inner/events", "Bearer")):
        answer = requests.get(person.site.address + path, timeout=60)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].split()[0] == challenge


def test_whoever_no_rule_admits_sees_nothing(person: Person, issuer: Provider) -> None:
    """And is not sent to the provider again and again."""
    issuer.person["groups"] = ["guests"]
    answer = person.opens("inner/")
    assert answer.status_code == 403
    assert answer.text == "You may not see these pages: ask whoever runs them.\n"
    assert not person.sees()


@pytest.mark.parametrize("name", ["", " ", "\u200b"])
def test_whoever_has_no_name_is_refused(person: Person, issuer: Provider, name: str) -> None:
    """Instead of going back and forth for ever between here and the provider."""
    issuer.change = {"sub": name}
    assert person.opens("inner/").status_code == 403
    assert not person.sees()


@pytest.mark.parametrize("name", ["x" * 255, "x" * 5_000, "\U0001f600" * 255, "\\" * 255])
def test_a_long_name_makes_no_long_cookie(person: Person, issuer: Provider, name: str) -> None:
    """RFC 6265, 6.1: a browser may drop one of more than 4,096 bytes, and would log in for ever."""
    issuer.change = {"sub": name}
    assert person.opens("inner/").status_code == 200
    assert len(person.cookie) < 1_000
    assert person.sees()


@pytest.mark.parametrize(
    ("rule", "claims", "admitted"),
    [
        ("groups=operators", {"groups": ["guests", "operators"]}, True),
        ("groups=operators", {"groups": "operators"}, True),
        ("groups=operators", {"groups": "operators of another"}, False),
        ("groups=operators", {"groups": {"operators": True}}, False),
        ("groups=operators", {"groups": [["operators"]]}, False),
        ("groups=operators", {}, False),
        ("sub=*", {"sub": "ada"}, True),
        ("sub=*", {"sub": ""}, False),
        ("groups=*", {"groups": []}, False),
        ("admin=True", {"admin": True}, False),
        ("level=1", {"level": 1}, False),
        ("name=a=b", {"name": "a=b"}, True),
        ("email=ada@example.org", {"email": "Ada@Example.org", "email_verified": True}, True),
        ("email=ada@example.org", {"email": "ada@example.org", "email_verified": False}, False),
        ("email=ada@example.org", {"email": "ada@example.org", "email_verified": "true"}, False),
        ("email=ada@example.org", {"email": "ada@example.org"}, False),
        ("email=@example.org", {"email": "ada@EXAMPLE.org", "email_verified": True}, True),
        ("email=@example.org", {"email": "ada@sub.example.org", "email_verified": True}, False),
        ("email=@example.org", {"email": "ada@evilexample.org", "email_verified": True}, False),
        ("email=@example.org", {"email": "ada@example.org@evil.example", "email_verified": True}, False),
        # The sign for kelvin, which is a k in small letters: another address all the same.
        ("email=kate@example.org", {"email": "\u212aate@example.org", "email_verified": True}, False),
        ("email=kate@example.org", {"email": "KATE@example.org", "email_verified": True}, True),
        ("email=@", {"email": "ada@example.org", "email_verified": True}, False),
        ("email=*", {"email": "ada@example.org", "email_verified": True}, True),
        ("email=*", {"email": "ada@example.org"}, False),
    ],
)
def test_a_rule_admits_those_whom_it_names(rule: str, claims: dict[str, Any], admitted: bool) -> None:
    """Text alone counts, as a whole; an address must be verified."""
    assert admits([rule], claims) is admitted
    assert admits(["nobody=x", rule], claims) is admitted
    assert not admits([], claims)


def test_claims_that_are_not_in_the_token_are_asked_for(person: Person, issuer: Provider) -> None:
    """Some providers tell groups at userinfo alone. What the token says goes before."""
    del issuer.person["groups"]
    issuer.userinfo = {"groups": ["operators"]}
    assert person.opens("inner/").status_code == 200
    assert "/userinfo" in issuer.asked


@pytest.mark.parametrize(
    ("token", "userinfo"),
    [
        ({"email": "ada@example.org"}, {"email": "ada@evil.example", "email_verified": True}),
        ({"email_verified": True}, {"email": "ada@example.org", "email_verified": False}),
        ({"email_verified": True}, {"email": "ada@example.org"}),
    ],
)
def test_an_address_is_verified_by_who_tells_it(
    issuer: Provider, token: dict[str, Any], userinfo: dict[str, Any]
) -> None:
    """One place may speak of another address than the other."""
    with served(rows(), settings(issuer, oidc_allowed=("email=@example.org",))) as site:
        issuer.person |= token
        issuer.userinfo = userinfo
        assert Person(site).opens("inner/").status_code == 403
        issuer.userinfo = {"email": "ada@example.org", "email_verified": True}
        assert Person(site).opens("inner/").status_code == 200


def test_userinfo_of_somebody_else_is_refused(person: Person, issuer: Provider) -> None:
    del issuer.person["groups"]
    issuer.userinfo = {"groups": ["operators"], "sub": "somebody else"}
    assert person.opens("inner/").status_code == 403
    assert not person.sees()


def test_a_provider_that_takes_the_secret_in_the_body_gets_it_there(person: Person, issuer: Provider) -> None:
    issuer.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert person.opens("inner/").status_code == 200


# What somebody could make of the way back.


def test_a_state_that_this_browser_does_not_have_is_refused(person: Person, site: Site, issuer: Provider) -> None:
    """Neither a made-up one nor that of another browser (RFC 6749, 10.12), nor none; the provider is not even asked."""
    person.begins()
    other = Person(site).begins()
    code = dict(parse_qsl(urlsplit(other.headers["Location"]).query))["code"]
    for url in (other.headers["Location"], f"inner/callback?code={code}&state=made-up", f"inner/callback?code={code}"):
        assert person.opens(url).status_code == 403
    assert "/token" not in issuer.asked
    assert not person.sees()


def test_a_way_back_leads_in_once(person: Person, issuer: Provider) -> None:
    """Not in the same browser, and not with the cookie of before: the code is spent."""
    back = person.begins()
    before = person.cookie
    url = back.headers["Location"]
    assert person.opens(url).status_code == 200
    person.session.post(person.site.address + "inner/logout", timeout=60)
    assert person.opens(url).status_code == 403
    person.session.cookies.set(COOKIE, before, path="/inner/")
    assert person.opens(url).status_code == 403
    assert issuer.asked.count("/token") == 2
    assert not person.sees()


def test_a_wrong_secret_lets_nobody_in(person: Person, issuer: Provider) -> None:
    """The log has the word of the provider for it."""
    issuer.secret = "another"
    with structlog.testing.capture_logs() as logged:
        assert person.opens("inner/").status_code == 403
    assert logged[-1]["error"].endswith(": invalid_client")


def test_a_provider_that_refuses_is_not_quoted(person: Person, site: Site) -> None:
    """What stands in a URL is not shown."""
    answer = person.opens("inner/callback?error=access_denied&error_description=<b>pay</b>&state=x")
    assert answer.status_code == 403
    assert "pay" not in answer.text
    assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    "path",
    [
        "inner//evil.example/",
        "inner/https://evil.example/",
        "inner/..//..//evil.example/",
        "inner/%5C%5Cevil.example/",
        "inner/%0dLocation:%20https://evil.example/",
        "inner/@evil.example/",
        "inner/?next=https://evil.example/",
        f"inner/{'x' * 5_000}",
        f"inner/{'%F0%9F%98%80' * 100}",
    ],
)
def test_a_login_leads_to_this_service_alone(person: Person, path: str) -> None:
    request = requests.Request("GET", "http://x", headers=HTML).prepare()
    request.url = person.site.address + path
    to_provider = person.session.send(request, allow_redirects=False, timeout=60)
    # RFC 6265, 6.1: more than 4,096 bytes a browser may drop.
    assert len(person.cookie) < 2_500
    back = person.opens(to_provider.headers["Location"], allow_redirects=False)
    answer = person.opens(back.headers["Location"], allow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(person.site.address + "inner/")
    assert not set(answer.headers["Location"]) & set("\\\r\n?#")
    assert person.sees()


def test_another_site_cannot_log_somebody_out_by_a_link(person: Person) -> None:
    """It takes a POST, to which browsers add no cookie when another site makes it."""
    person.opens("inner/")
    assert person.opens("inner/logout").status_code == 404
    assert person.sees()


def test_a_client_may_come_back_so_often(issuer: Provider) -> None:
    with served(rows(), settings(issuer, requests_per_minute=3)) as site:
        codes = [Person(site).opens("inner/callback?code=x&state=y").status_code for _ in range(4)]
    assert codes == [403, 403, 403, 429]


# What a provider, or somebody in its place, could make up.


def unsigned(claims: dict[str, Any], key: RSAKey, header: dict[str, str] | None = None) -> str:
    parts = (header or {"alg": "none", "typ": "JWT"}, claims)
    return ".".join(_encoded(json.dumps(part).encode()) for part in parts) + "."


def by_the_public_key(claims: dict[str, Any], key: RSAKey) -> str:
    """The attack on verifiers that take the algorithm from the token: what everybody knows is taken for a secret."""
    begin = unsigned(claims, key, {"alg": "HS256", "typ": "JWT", "kid": str(key.kid)})[:-1]
    return f"{begin}.{_encoded(hmac.digest(key.as_pem(private=False), begin.encode(), hashlib.sha256))}"


def by_a_key_of_ones_own(claims: dict[str, Any], key: RSAKey) -> str:
    """Under the name of the provider's key, and with itself in the header."""
    own = RSAKey.generate_key(2048, {"kid": str(key.kid)})
    return jwt.encode({"alg": "RS256", "kid": key.kid, "jwk": own.as_dict(private=False)}, claims, own)


def changed_afterwards(claims: dict[str, Any], key: RSAKey) -> str:
    header, _, signature = sign(claims, key).split(".")
    return f"{header}.{_encoded(json.dumps(claims | {'groups': ['operators', 'more']}).encode())}.{signature}"


def without(name: str) -> Callable[[dict[str, Any], RSAKey], str]:
    return lambda claims, key: sign({one: value for one, value in claims.items() if one != name}, key)


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


WEAK = {"id_token_signing_alg_values_supported": ["none", "HS256", "RS256"]}
LIES: dict[str, dict[str, Any]] = {
    "no signature": {"signed": unsigned},
    "no signature, which it says is usual": {"signed": unsigned, "metadata": WEAK},
    "HS256 by the public key": {"signed": by_the_public_key},
    "HS256 by the public key, which it says is usual": {"signed": by_the_public_key, "metadata": WEAK},
    "another key": {"signed": by_a_key_of_ones_own},
    "changed after it was signed": {"signed": changed_afterwards},
    "another nonce": {"change": {"nonce": "other"}},
    "no nonce": {"signed": without("nonce")},
    "another audience": {"change": {"aud": "other"}},
    "another audience, for this client": {"change": {"aud": "other", "azp": CLIENT_ID}},
    "several audiences, for another client": {"change": {"aud": [CLIENT_ID, "other"], "azp": "other"}},
    "no audience": {"signed": without("aud")},
    "another issuer": {"change": {"iss": "https://evil.example"}},
    "no issuer": {"signed": without("iss")},
    "expired": {"change": {"exp": int(time.time()) - 600}},
    "no end": {"signed": without("exp")},
    "of the future": {"change": {"iat": int(time.time()) + LATER, "nbf": int(time.time()) + LATER}},
    "nobody": {"signed": without("sub")},
    "no ID token": {"signed": lambda claims, key: None},
    "not a token": {"signed": lambda claims, key: "x.y.z"},
}


# What the runbook explains.
REASONS = {"another audience": "InvalidClaimError: aud", "expired": "ExpiredTokenError"}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_lets_nobody_in(person: Person, issuer: Provider, lie: str) -> None:
    """The same person is let in by the truth."""
    for name, value in LIES[lie].items():
        setattr(issuer, name, value)
    with structlog.testing.capture_logs() as logged:
        answer = person.opens("inner/")
    assert answer.status_code == 403, answer.text
    assert answer.text == "The login did not succeed. Open the page again to try once more.\n"
    assert not person.sees()
    (reason,) = (line["error"] for line in logged if line["event"] == "a login failed")
    assert reason.startswith(REASONS.get(lie, "")), reason
    issuer.signed, issuer.change = sign, {}
    assert person.opens("inner/").status_code == 200


def test_keys_may_change(person: Person, issuer: Provider) -> None:
    """A new key is believed at once; one that is withdrawn is not believed any more, not even under the same name."""
    assert person.opens("inner/").status_code == 200
    before = issuer.key
    issuer.key = new_key()
    other = Person(person.site)
    assert other.opens("inner/").status_code == 200
    issuer.signed = lambda claims, _: sign(claims, before)
    assert Person(person.site).opens("inner/").status_code == 403
    issuer.signed, issuer.key = sign, RSAKey.generate_key(2048, {"kid": str(issuer.key.kid)})
    assert Person(person.site).opens("inner/").status_code == 200


async def _never() -> AsyncIterator[bytes]:
    yield b"{"
    await asyncio.Event().wait()


HUGE = JSONResponse({"issuer": "x" * 300_000})
NONSENSE: dict[str, Response] = {
    "an error": Response(status_code=500),
    "elsewhere": Response(status_code=302, headers={"Location": "http://127.0.0.1:1/"}),
    "no JSON": Response("<html>"),
    "a list": JSONResponse([]),
    "nothing": JSONResponse({}),
    "deep": Response("[" * 100_000),
    "huge": HUGE,
    "packed": Response(b"\x1f\x8b" + bytes(99), headers={"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("nonsense", NONSENSE)
@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys"])
def test_a_provider_that_is_not_well_is_told_in_a_sentence(
    person: Person, issuer: Provider, path: str, nonsense: str
) -> None:
    """Nobody is let in, the public pages are what they were, and when it is well again people log in."""
    issuer.answers = {path: NONSENSE[nonsense]}
    answer = person.opens("inner/")
    assert answer.status_code == 503, answer.text
    assert answer.text.startswith("Nobody can log in at this moment")
    assert not person.sees()
    assert person.opens("").status_code == 200
    issuer.answers = {}
    assert person.opens("inner/").status_code == 200


@pytest.mark.parametrize("nonsense", ["an error", "no JSON", "a list", "huge"])
def test_a_code_that_is_answered_with_nonsense_lets_nobody_in(person: Person, issuer: Provider, nonsense: str) -> None:
    issuer.answers = {"/token": NONSENSE[nonsense]}
    assert person.opens("inner/").status_code == 503
    issuer.answers = {}
    assert person.opens("inner/").status_code == 200


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "file:///etc/passwd"},
        {"jwks_uri": 7},
        {"id_token_signing_alg_values_supported": ["none", "HS256"]},
    ],
)
def test_a_provider_that_says_wrong_things_of_itself_is_not_asked(
    person: Person, issuer: Provider, metadata: dict[str, Any]
) -> None:
    issuer.metadata = metadata
    assert person.opens("inner/").status_code == 503
    assert "/authorize" not in issuer.asked


def test_what_a_provider_says_sets_no_option_of_the_client(person: Person, issuer: Provider) -> None:
    """Authlib takes the names of metadata for options: whoever answers could lead it through a proxy."""
    issuer.metadata = {"proxy": "http://127.0.0.1:1", "verify": False, "scope": "all", "jwks": {"keys": []}}
    assert person.opens("inner/").status_code == 200
    assert issuer.seen["scope"] == "openid email"


def test_a_provider_that_never_ends_is_not_waited_for(
    person: Person, issuer: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openid, "_TIMEOUT_S", 0.2)
    issuer.answers = {"/.well-known/openid-configuration": StreamingResponse(_never())}
    assert person.opens("inner/").status_code == 503


def test_a_provider_that_is_away_is_told_in_a_sentence(person: Person, issuer: Provider) -> None:
    """Whoever has logged in before goes on reading."""
    person.opens("inner/")
    with provider() as gone:
        address = gone.issuer
    with served(rows(), settings(issuer, oidc_issuer=address)) as site:
        other = Person(site)
        answer = other.opens("inner/")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
        assert other.opens("").status_code == 200
    assert person.sees()


def test_no_secret_is_logged(person: Person, issuer: Provider) -> None:
    """Neither of this client, nor what was sent back and forth."""
    with structlog.testing.capture_logs() as logged:
        person.opens("inner/")
        issuer.change = {"nonce": "other"}
        failing = Person(person.site)
        back = failing.begins()
        failing.opens(back.headers["Location"])
    text = repr(logged)
    assert "ada" in text
    code = dict(parse_qsl(urlsplit(back.headers["Location"]).query))
    for secret in (CLIENT_SECRET, KEY, code["code"], code["state"], "for userinfo"):
        assert secret not in text


# What the configuration says.


@pytest.fixture
def checked(tmp_path: Path) -> Callable[..., str]:
    """Runs check-config on a configuration in which people log in; gives what it prints."""

    def check(**others: Any) -> str:
        (tmp_path / "secret").write_text(CLIENT_SECRET)
        (tmp_path / "key").write_text(KEY)
        section = {
            "public_url": "https://status.example.org",
            "oidc_issuer": "https://login.example.org",
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": {"file": "secret"},
            "oidc_session_key": {"file": "key"},
            "oidc_allowed": ["sub=*"],
        }
        content = {"kafka": {"bootstrap_servers": "k:1"}, "database": {"host": "h", "user": "u"}}
        file = tmp_path / "config.yaml"
        file.write_text(yaml.safe_dump(content | {"status": section | others}))
        return (
            CliRunner().invoke(main, ["check-config", "--config", str(file)]).output.replace(str(file), "config.yaml")
        )

    return check


def test_a_configuration_with_a_login_is_valid(checked: Callable[..., str]) -> None:
    assert checked().startswith("The configuration is valid")


def test_the_examples_of_the_readme_are_valid(tmp_path: Path) -> None:
    """As a file, and as the variables of Compose; both come to the same."""
    (tmp_path / "secret").write_text(KEY)
    readme = (Path(__file__).parents[1] / "README.md").read_text().partition("## Logging in\n")[2]
    as_file, as_variables, *_ = (
        yaml.safe_load(re.sub(r"/run/secrets/[\w/-]+", str(tmp_path / "secret"), block))
        for block in re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    )
    file = tmp_path / "config.yaml"
    content = {"kafka": {"bootstrap_servers": "k:1"}, "database": {"host": "h", "user": "u"}}
    for part, variables in ((as_file, {}), ({}, as_variables["services"]["status"]["environment"])):
        file.write_text(yaml.safe_dump(content | part))
        done = CliRunner(env=variables).invoke(main, ["check-config", "--config", str(file)])
        assert done.exit_code == 0, done.output
        assert load_config(file, environ=variables).status.oidc_client_id == "status"


def test_a_missing_extra_is_named_with_what_mends_it(
    checked: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one sentence, before anything is served; without a login it is not missed."""
    for missing in ("httpx2", "itsdangerous"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, missing, None)
            for name in ("status_svc.adapters.openid", "status_svc.login", "starlette.middleware.sessions"):
                patch.delitem(sys.modules, name, raising=False)
            output = checked()
            assert output.startswith("this installation status.oidc_issuer: needs pip install 'status-svc[oidc]'")
            assert len(output.splitlines()) == 1
            other = checked(oidc_issuer=None, oidc_client_id=None, oidc_client_secret=None, oidc_session_key=None,
                            oidc_allowed=[])  # fmt: skip
            assert other.startswith("The configuration is valid")


def test_secrets_that_are_missing_or_too_short_are_told(checked: Callable[..., str]) -> None:
    assert "status.oidc_client_secret: the environment variable NO_SUCH is not set" in checked(
        oidc_client_secret={"env": "NO_SUCH"}
    )
    output = checked(oidc_session_key={"file": "secret"})
    assert output.endswith("status.oidc_session_key: must have at least 32 characters\n")
    assert CLIENT_SECRET not in output
