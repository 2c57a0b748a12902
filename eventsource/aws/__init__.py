"""Parts of the event sources that are services of AWS."""
