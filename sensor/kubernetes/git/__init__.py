"""Files of git repositories, read without a checkout.

Nothing is written that has a name: the pack of one commit, without its history and, where the
server can, without its files, lies in an unnamed file, and the one file is asked for by its id. So
there is no clone to clean up, no link to follow out of it, and no hook or filter that runs.
"""
