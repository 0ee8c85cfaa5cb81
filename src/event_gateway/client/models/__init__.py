"""The types of bodies and answers, in a module for each tag of the API.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from event_gateway.client.models.alerts import *
from event_gateway.client.models.audit_log import *
from event_gateway.client.models.compliance import *
from event_gateway.client.models.configuration import *
from event_gateway.client.models.dead_letters import *
from event_gateway.client.models.deliveries import *
from event_gateway.client.models.event_types import *
from event_gateway.client.models.events import *
from event_gateway.client.models.health import *
from event_gateway.client.models.history import *
from event_gateway.client.models.keys import *
from event_gateway.client.models.matching import *
from event_gateway.client.models.rejected import *
from event_gateway.client.models.repair import *
from event_gateway.client.models.replays import *
from event_gateway.client.models.secrets import *
from event_gateway.client.models.shared import *
from event_gateway.client.models.sources import *
from event_gateway.client.models.streams import *
from event_gateway.client.models.transformations import *
from event_gateway.client.models.webhooks import *
