"""The form of ids and names that users choose: of webhooks, streams, transformations, durables."""

import re

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
