"""What Prometheus may scrape of us, and which alerts it then fires with which words.

A story is told minute by minute, as promtool writes it: `0x4 1+2x2 _ stale` is five times 0, then
1, 3, 5, then a scrape without it, and its end.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.queue import RETRY

MINUTES = 90


@dataclass(frozen=True)
class Fires:
    """When an alert fires, and what it says."""

    first: int
    """The first minute."""
    last: int = MINUTES - 1
    labels: Mapping[str, str] = field(default_factory=dict)
    """Beside `alertname`."""
    summary: str = ""
    description: str = ""


@dataclass(frozen=True)
class Story:
    """What is scraped, and whether the alert fires; no other does."""

    alert: str
    name: str
    series: Mapping[str, str]
    fires: Fires | None = None

    def __str__(self) -> str:
        return f"{self.alert}: {self.name}"


def looks(jitter: float) -> str:
    """Return the counter of looks at an object that always fails, as the controller comes back."""
    at, failures, attempt = 0.0, [0] * MINUTES, 0
    while at < MINUTES * 60:
        failures[int(at // 60)] += 1
        attempt += 1
        base = min(RETRY.duration * RETRY.factor ** (attempt - 1), RETRY.cap)
        at += base * (1 + jitter)
    return " ".join(str(sum(failures[: n + 1])) for n in range(MINUTES))


def latency(**buckets: str) -> dict[str, str]:
    """Return a histogram of which these buckets matter."""
    return {
        f'tocsin_event_to_action_seconds_bucket{{namespace="n",sensor_name="s",trigger_name="t",'
        f'pod="p",le="{le.removeprefix("le").replace("inf", "+Inf")}"}}': values
        for le, values in buckets.items()
    }


SOURCE = 'namespace="n",eventsource_name="s"'
EVENT = f'{SOURCE},event_name="e"'
SENSOR = 'namespace="n",sensor_name="s"'
TRIGGER = f'{SENSOR},trigger_name="t"'
OF_SOURCE = {"namespace": "n", "eventsource_name": "s"}
OF_SENSOR = {"namespace": "n", "sensor_name": "s"}
WARNING, CRITICAL = {"severity": "warning"}, {"severity": "critical"}

LEADING = 'tocsin_controller_leading{pod="%s"}'.__mod__
NO_LEADER = (
    "No controller leads",
    (
        "Pods go on as they are, but no change of an EventSource, Sensor, Notifier or EventBus"
        " is acted on."
    ),
)
FAILED = 'tocsin_controller_reconciles_total{kind="Sensor",result="failed",pod="c"}'
DONE = 'tocsin_controller_reconciles_total{kind="Sensor",result="done",pod="c"}'
CANNOT = "The controller cannot bring objects of kind Sensor about"
OFTEN = (
    "Looks at objects ended as failed {} times in 20 minutes, and have done so for half an hour."
)
QUEUE = 'tocsin_controller_queue{pod="c"}'
END = 'tocsin_admission_certificate_end_seconds{pod="%s"}'.__mod__
NOT_RENEWED = "The certificate of the webhook was not renewed"
REFUSES = "the API server refuses every change of our kinds."
SENT = f'argo_events_events_sent_total{{{EVENT},pod="p"}}'
NOT_SENT = f'argo_events_events_sent_failed_total{{{EVENT},pod="p"}}'
FAILING = f'argo_events_events_processing_failed_total{{{EVENT},pod="p"}}'
IN_TWENTY = "More than one in twenty events of s/e fails"
LISTENING = f'argo_events_event_service_running_total{{{SOURCE},pod="%s"}}'.__mod__
EVICTED = f'tocsin_events_evicted{{{SOURCE},pod="%s"}}'.__mod__
LOST = "Events went from the bus before all Sensors had read them"
GONE = "About {} events that n/s shares a bus with are lost to a Sensor."
DEAD = f'tocsin_dead_letters_total{{{SENSOR},reason="Bug",pod="p"}}'
UNUSABLE = f'tocsin_dead_letters_total{{{SOURCE},reason="UnusableEvent",pod="p"}}'
GIVEN_UP = f'argo_events_action_retries_failed_total{{{TRIGGER},pod="p"}}'
WAITING = f'tocsin_events_waiting{{{SENSOR},pod="%s"}}'.__mod__
REFUSED = (
    "argocd_notifications_deliveries_total"
    '{namespace="n",trigger="t",service="slack",succeeded="false",pod="p"}'
)
PROBLEMS = 'tocsin_notifications_config_problems{namespace="n",severity="%s",pod="p"}'.__mod__

STORIES = [
    Story(
        "TocsinNoLeader",
        "two replicas, neither leads",
        {LEADING("c"): "1x9 0x90", LEADING("d"): "0x90"},
        Fires(15, 89, CRITICAL, *NO_LEADER),
    ),
    Story(
        "TocsinNoLeader",
        "no controller",
        {LEADING("c"): "1x9 stale"},
        Fires(15, 89, CRITICAL, *NO_LEADER),
    ),
    Story(
        "TocsinNoLeader",
        "the other replica leads after four minutes",
        {LEADING("c"): "1x9 stale", LEADING("d"): "0x13 1x90"},
    ),
    Story(
        "TocsinReconcilesFail",
        "an object always fails, and comes back as late as it may",
        {FAILED: looks(RETRY.jitter)},
        Fires(32, 89, WARNING | {"kind": "Sensor", "result": "failed"}, CANNOT, OFTEN.format(3)),
    ),
    Story(
        "TocsinReconcilesFail",
        "an object always fails, and comes back as early as it may",
        {FAILED: looks(0)},
        Fires(33, 89, WARNING | {"kind": "Sensor", "result": "failed"}, CANNOT, OFTEN.format(4)),
    ),
    Story(
        "TocsinReconcilesFail",
        "an API server that was away for five minutes",
        {FAILED: "0x20 20+20x4 100x90", DONE: "0+100x90"},
    ),
    Story(
        "TocsinControllerQueueStays",
        "objects wait",
        {QUEUE: "_x5 51x20 10x90"},
        Fires(
            15,
            25,
            WARNING | {"pod": "c"},
            "Objects wait for the controller",
            "51 objects wait; for ten minutes there have been more than 50.",
        ),
    ),
    Story(
        "TocsinControllerQueueStays", "a controller that starts", {QUEUE: "_x5 900x4 100x4 3x90"}
    ),
    Story(
        "TocsinWebhookCertificateEnds",
        "one replica serves an old one",
        {END("c"): "999999999x90", END("d"): "90000x90"},
        Fires(76, 89, CRITICAL, NOT_RENEWED, f"It ends in 23h 44m 0s; from then on {REFUSES}"),
    ),
    Story(
        "TocsinWebhookCertificateEnds",
        "there is none",
        {END("c"): "0x90"},
        Fires(15, 89, CRITICAL, NOT_RENEWED, f"It has ended, or there is none: {REFUSES}"),
    ),
    Story("TocsinWebhookCertificateEnds", "it is renewed", {END("c"): "90000x70 999999999x90"}),
    Story(
        "TocsinEventsNotStored",
        "a bus that is away for twenty minutes",
        {NOT_SENT: "0x10 5+5x20 110x90", SENT: "0+5x10 55x20 60+5x90"},
        Fires(
            16,
            35,
            CRITICAL | OF_SOURCE,
            "The bus does not take events of n/s",
            "Senders are told to come back; queues keep what they have."
            " What only calls once is lost.",
        ),
    ),
    Story("TocsinEventsNotStored", "one moment", {NOT_SENT: "0x10 7x90", SENT: "0+5x90"}),
    Story(
        "TocsinEventsFail",
        "one in ten",
        {FAILING: "0+1x90", SENT: "0+9x90"},
        Fires(
            11,
            89,
            WARNING | OF_SOURCE | {"event_name": "e"},
            IN_TWENTY,
            "10% of what arrived in ten minutes was not published.",
        ),
    ),
    Story(
        "TocsinEventsFail",
        "all of the few",
        {FAILING: "0x20 1x4 2x4 3x90", SENT: "0x90"},
        Fires(
            31,
            39,
            WARNING | OF_SOURCE | {"event_name": "e"},
            IN_TWENTY,
            "100% of what arrived in ten minutes was not published.",
        ),
    ),
    Story("TocsinEventsFail", "one in a hundred", {FAILING: "0+1x90", SENT: "0+99x90"}),
    Story(
        "TocsinNobodyListens",
        "all sources are down for half an hour",
        {LISTENING("p"): "2x9 0x29 2x90", LISTENING("q"): "2x9 0x29 2x90"},
        Fires(
            20,
            39,
            CRITICAL | OF_SOURCE,
            "No event of n/s is listened to",
            "All sources of this EventSource have failed or cannot connect.",
        ),
    ),
    Story(
        "TocsinNobodyListens",
        "one of two replicas listens, as the source wants",
        {LISTENING("p"): "1x90", LISTENING("q"): "0x90"},
    ),
    Story(
        "TocsinNobodyListens",
        "a pod that takes nine minutes to connect",
        {LISTENING("p"): "0x8 1x90"},
    ),
    Story(
        "TocsinEventsEvicted",
        "seven went, as two replicas tell",
        {EVICTED("p"): "0x19 7x90", EVICTED("q"): "0x19 7x90"},
        Fires(20, 33, CRITICAL | OF_SOURCE, LOST, GONE.format(7)),
    ),
    Story(
        "TocsinEventsEvicted",
        "a process that begins anew, and loses more",
        {EVICTED("p"): "0x19 9x9 0x0 4x90"},
        Fires(20, 44, CRITICAL | OF_SOURCE, LOST, GONE.format(9)),
    ),
    Story(
        "TocsinEventsEvicted",
        "a pod that begins anew",
        {EVICTED("p"): "0x9 stale", EVICTED("q"): "_x10 0x80"},
    ),
    Story(
        "TocsinDeadLetters",
        "the first of a reason",
        {DEAD: "_x20 1x90"},
        Fires(
            20,
            34,
            WARNING | OF_SENSOR | {"reason": "Bug"},
            "Dead letters of n/s",
            "Set aside for good in 15 minutes: 1 (Bug).",
        ),
    ),
    Story(
        "TocsinDeadLetters",
        "more and more, of an EventSource",
        {UNUSABLE: "_x10 3+1x9 12x90"},
        Fires(
            10,
            32,
            WARNING | OF_SOURCE | {"reason": "UnusableEvent"},
            "Dead letters of n/s",
            "Set aside for good in 15 minutes: 3 (UnusableEvent).",
        ),
    ),
    Story(
        "TocsinDeadLetters",
        "a pod that has not set anything aside",
        {f'tocsin_events_received_total{{{SENSOR},pod="p"}}': "0+9x90"},
    ),
    Story(
        "TocsinActionsGivenUp",
        "a burst between two scrapes",
        {GIVEN_UP: "0x19 40x90"},
        Fires(
            20,
            33,
            WARNING | OF_SENSOR | {"trigger_name": "t"},
            "Trigger t of n/s gives up",
            "Actions that failed for the last time, in 15 minutes: 40.",
        ),
    ),
    Story(
        "TocsinActionsGivenUp",
        "the first of a Notifier, whose triggers are not told before",
        {GIVEN_UP: "_x20 2x90"},
        Fires(
            20,
            34,
            WARNING | OF_SENSOR | {"trigger_name": "t"},
            "Trigger t of n/s gives up",
            "Actions that failed for the last time, in 15 minutes: 2.",
        ),
    ),
    Story(
        "TocsinActionsGivenUp",
        "attempts that fail, and one that does not",
        {f'argo_events_action_failed_total{{{TRIGGER},pod="p"}}': "0+3x90", GIVEN_UP: "0x90"},
    ),
    Story(
        "TocsinBacklog",
        "more come than go",
        {WAITING("p"): "0+100x90", WAITING("q"): "0+90x90"},
        Fires(
            26,
            89,
            WARNING | OF_SENSOR,
            "Sensor n/s does not keep up",
            "2600 events wait; for 15 minutes there have been too many.",
        ),
    ),
    Story("TocsinBacklog", "ten minutes of many", {WAITING("p"): "0x9 90000x9 0x90"}),
    Story("TocsinBacklog", "as many as may be", {WAITING("p"): "1000x90"}),
    Story(
        "TocsinActionsSlow",
        "one in ten takes minutes",
        latency(le10="0+9x90", le60="0+9x90", le300="0+10x90", leinf="0+10x90"),
        Fires(
            16,
            89,
            WARNING | OF_SENSOR,
            "Actions of n/s come late",
            "One in a hundred takes 4m 35s from its event.",
        ),
    ),
    Story(
        "TocsinActionsSlow",
        "one in two hundred takes minutes",
        latency(le10="0+199x90", le60="0+199x90", le300="0+200x90", leinf="0+200x90"),
    ),
    Story(
        "TocsinNotificationsFail",
        "a token that is no longer good",
        {REFUSED: "_x10 1+1x90"},
        Fires(
            28,
            89,
            WARNING | {"namespace": "n", "service": "slack", "trigger": "t"},
            "Service slack does not take notifications",
            "Messages of trigger t that were refused in 15 minutes: 15.",
        ),
    ),
    Story(
        "TocsinNotificationsFail", "a service that was away for a moment", {REFUSED: "0x19 30x90"}
    ),
    Story(
        "TocsinNotifierConfigWrong",
        "two keys",
        {PROBLEMS("error"): "0x9 2x29 0x90"},
        Fires(
            15,
            39,
            WARNING | {"namespace": "n", "pod": "p"},
            "A Notifier in n does not use all of its configuration",
            "Keys that are wrong: 2. The log of p and `tocsin notify validate` name them.",
        ),
    ),
    Story(
        "TocsinNotifierConfigWrong",
        "doubtful keys",
        {PROBLEMS("error"): "0x90", PROBLEMS("warning"): "3x90"},
    ),
]
