"""GitLab: what it posts, and the hooks that are registered with it, for the source `gitlab`."""
