"""What is counted, and how it is written down for Prometheus (text format and OpenMetrics).

Counters and histograms lie in `tally` and are read when somebody asks; how the service does comes from the same findings as `/health`.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from trust import VERSION
from trust.edge.operations.health import Health, Level
from trust.edge.operations.tally import OTHER, Reading, Series, Tally
from trust.timekeeping import State

HTTP, HTTP_SECONDS, LIMITED = "kakuin_http_requests", "kakuin_http_request_seconds", "kakuin_http_limited"
CONNECTIONS, CONNECTIONS_REFUSED = "kakuin_http_connections", "kakuin_http_connections_refused"
TSA, TSA_SECONDS = "kakuin_tsa_requests", "kakuin_tsa_answer_seconds"
BATCH, COMMIT_SECONDS, QUEUE = "kakuin_journal_batch_requests", "kakuin_journal_commit_seconds", "kakuin_journal_queue"
SEALS, EXTENSIONS, VERIFICATIONS = "kakuin_seals", "kakuin_extensions", "kakuin_verifications"

ANY = "any"
"""No unit is named by the path."""
GRANTED = "granted"
OUTCOMES = ("done", "refused", "failed")
"""Of sealing and extending: what the client has to mend is refused, what we have to is failed."""
STATUSES = ("200", "204", "304", "400", "401", "403", "404", "405", "406", "408", "409", "413", "415", "422", "429", "500", "503", OTHER)

_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_SLOW = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_POWERS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)


def catalogue(
    *,
    routes: Sequence[str],
    units: Sequence[str],
    failures: Sequence[str],
    formats: Sequence[str],
    kinds: Sequence[str],
    levels: Sequence[str],
    conclusions: Sequence[str],
) -> tuple[Series, ...]:
    """Everything that is counted, with the values that labels can have here."""
    made = (("level", (*levels, OTHER)), ("outcome", OUTCOMES))
    route = ("route", tuple(routes))
    return (
        Series(HTTP, "Requests answered as HTTP, by class of route and status; time-stamps have their own.", (route, ("status", STATUSES))),
        Series(HTTP_SECONDS, "Seconds until the answer's end; time-stamps have their own.", (route,), _SLOW),
        Series(LIMITED, "Requests over a client's limit.", (route,)),
        Series(CONNECTIONS, "Connections now.", gauge=True),
        Series(CONNECTIONS_REFUSED, "Connections over the limit of all, or of one client."),
        Series(
            TSA,
            "Time-stamp requests by the unit that was asked and what became of them.",
            (("asked", (ANY, *units)), ("outcome", (GRANTED, *failures, OTHER))),
        ),
        Series(TSA_SECONDS, "Seconds from a whole time-stamp request to its answer.", (), _FAST),
        Series(BATCH, "Requests that one transaction of the journal decided.", (), _POWERS),
        Series(COMMIT_SECONDS, "Seconds of one transaction of the journal, signatures and flush included.", (), _FAST),
        Series(QUEUE, "Requests that wait for the journal.", gauge=True),
        Series(SEALS, "Seals over HTTP.", (("format", (*formats, OTHER)), *made)),
        Series(EXTENSIONS, "Extensions over HTTP.", (("format", (*kinds, OTHER)), *made)),
        Series(VERIFICATIONS, "Verifications over HTTP.", (("conclusion", (*conclusions, "failed_to_judge", OTHER)),)),
    )


def written(tally: Tally, health: Health, accept: str) -> tuple[bytes, str]:
    """The metrics and their media type, in the form that `accept` asks for. The process's own are this worker's alone."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Everything(tally, health))
    ProcessCollector(registry=registry)
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


class _Everything(Collector):
    def __init__(self, tally: Tally, health: Health) -> None:
        self._tally = tally
        self._health = health

    def collect(self) -> Iterator[Metric]:
        yield from counted(self._tally.readings())
        yield from found(self._health)


def counted(readings: Iterable[Reading]) -> Iterator[Metric]:
    """Readings of one series follow one another. What was never seen under some labels is left out where there are labels."""
    family: Metric | None = None
    for each in readings:
        if family is None or family.name != each.series.name:
            if family is not None:
                yield family
            family = _family(each.series)
        if not each.series.labels or any(each.cells):
            _add(family, each)
    if family is not None:
        yield family


def _family(series: Series) -> Metric:
    names = [name for name, _ in series.labels]
    if series.bounds:
        return HistogramMetricFamily(series.name, series.help, labels=names)
    return (GaugeMetricFamily if series.gauge else CounterMetricFamily)(series.name, series.help, labels=names)


def _add(family: Metric, each: Reading) -> None:
    if isinstance(family, HistogramMetricFamily):
        *buckets, total = each.cells
        edges = (*map(str, each.series.bounds), "+Inf")
        running = 0.0
        rows = []
        for edge, count in zip(edges, buckets, strict=True):
            running += count
            rows.append((edge, running))
        family.add_metric(list(each.values), rows, total)
    elif isinstance(family, CounterMetricFamily | GaugeMetricFamily):
        family.add_metric(list(each.values), each.cells[0])


def found(health: Health) -> Iterator[Metric]:
    """From the findings of `/health`."""
    seen = health.seen
    yield InfoMetricFamily("kakuin", "Version.", {"version": VERSION})
    yield GaugeMetricFamily("kakuin_ready", "1 while requests for time-stamps are granted.", float(health.ready))
    checks = GaugeMetricFamily("kakuin_check", "0 pass, 1 warn, 2 fail.", labels=["check"])
    for name, finding in health.checks.items():
        checks.add_metric([name], float(tuple(Level).index(finding.level)))
    yield checks
    yield from _clock(health)
    tokens = CounterMetricFamily("kakuin_tsa_tokens", "Serial numbers given out, by unit: over all processes and restarts.", labels=["unit"])
    for unit, following in sorted(seen.journal.serials.items()):
        tokens.add_metric([unit], following - 1)
    yield tokens
    for name, text, value in (
        ("kakuin_log_entries", "Entries of the journal.", seen.journal.size if seen.journal.reachable else None),
        ("kakuin_log_checkpoint_entries", "Entries that the newest checkpoint covers.", seen.journal.checkpoint_size),
        ("kakuin_last_commit_timestamp_seconds", "When the newest entry was recorded.", _at(seen.journal.committed)),
        ("kakuin_log_checkpoint_timestamp_seconds", "When the newest checkpoint was signed.", _at(seen.journal.checkpoint_at)),
        ("kakuin_log_lag_seconds", "Age of the oldest entry that no checkpoint covers.", _number(health.checks["log"].facts.get("lag_seconds"))),
        ("kakuin_disk_free_bytes", "Free on the database's disk.", seen.disk_free),
    ):
        if value is not None:
            yield GaugeMetricFamily(name, text, float(value))
    ends = GaugeMetricFamily("kakuin_certificate_expiry_timestamp_seconds", "When a certificate ends.", labels=["name"])
    for certificate in seen.certificates:
        if certificate.ends is not None:
            ends.add_metric([certificate.name], certificate.ends.timestamp())
    yield ends
    periods = GaugeMetricFamily("kakuin_unit_end_timestamp_seconds", "The last moment at which a unit may issue.", labels=["unit"])
    failed = GaugeMetricFamily("kakuin_unit_failed", "1 while a unit cannot issue.", labels=["unit"])
    for each in seen.units:
        periods.add_metric([each.name], each.ends.timestamp())
        failed.add_metric([each.name], float(health.units[each.name].level is Level.FAIL))
    yield periods
    yield failed


def _clock(health: Health) -> Iterator[Metric]:
    clock = health.seen.clock
    states = GaugeMetricFamily("kakuin_clock_state", "1 at the state of the clock.", labels=["state"])
    now = "development" if clock is None else clock.state
    for state in (*(each.value for each in State), "development"):
        states.add_metric([state], float(state == now))
    yield states
    if clock is None:
        return
    yield GaugeMetricFamily("kakuin_clock_good", "1 while the clock may stand in a time-stamp.", float(clock.good))
    yield GaugeMetricFamily("kakuin_clock_accuracy_seconds", "Accuracy that tokens state.", clock.accuracy_us / 1e6)
    if clock.bound_us is not None:
        yield GaugeMetricFamily("kakuin_clock_bound_seconds", "The most by which the clock is wrong.", clock.bound_us / 1e6)


def _at(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _number(fact: object) -> float | None:
    return float(fact) if isinstance(fact, int | float) else None
