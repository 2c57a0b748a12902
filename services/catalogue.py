"""All services there are."""

from services.alertmanager import Alertmanager
from services.awssns import Awssns
from services.awssqs import Awssqs
from services.console import Console
from services.email import Email
from services.gcppubsub import Gcppubsub
from services.github import Github
from services.googlechat import GoogleChat
from services.grafana import Grafana
from services.mattermost import Mattermost
from services.nats import Nats
from services.newrelic import Newrelic
from services.opsgenie import Opsgenie
from services.pagerduty import Pagerduty
from services.pagerdutyv2 import Pagerdutyv2
from services.pushover import Pushover
from services.rocketchat import RocketChat
from services.service import Service
from services.slack import Slack
from services.teams import Teams
from services.teams_workflows import TeamsWorkflows
from services.telegram import Telegram
from services.webex import Webex
from services.webhook import Webhook

_ALL: tuple[type[Service], ...] = (
    Alertmanager,
    Awssns,
    Awssqs,
    Console,
    Email,
    Gcppubsub,
    Github,
    GoogleChat,
    Grafana,
    Mattermost,
    Nats,
    Newrelic,
    Opsgenie,
    Pagerduty,
    Pagerdutyv2,
    Pushover,
    RocketChat,
    Slack,
    Teams,
    TeamsWorkflows,
    Telegram,
    Webex,
    Webhook,
)
SERVICES: dict[str, type[Service]] = {one.kind: one for one in _ALL}
"""Type in YAML -> its model."""
