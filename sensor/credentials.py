"""What a trigger proves itself with beside `spine.access`: headers from Secrets.

Only references stand here, and only they travel with an action.
"""

from sensor.fields import Name
from spine.model import Model, OneOf
from spine.secrets import ConfigMapRef, SecretRef


class ValueFrom(OneOf):
    """Where the value of a header stands."""

    secret_key_ref: SecretRef | None = None
    """A key of a Secret."""
    config_map_key_ref: ConfigMapRef | None = None
    """A key of a ConfigMap."""


class SecureHeader(Model):
    """A header with a value from a Secret."""

    name: Name
    """Name of the header."""
    value_from: ValueFrom
    """Where its value stands."""
