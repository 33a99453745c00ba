"""Jobs: what a command has set going for good, such as a pull or a push, kept alive and kept over restarts.

A job has an id (``configId``), settings in the runtime API's words, and a state. It makes attempts: each is one connection
that a puller or pusher (`ems.interfaces`) of the address's scheme opens, and when one ends the job pauses and begins the
next. What it may not lose is in ``pushPullSetup.xml`` before the command that made it is answered.

`service`
    all jobs of the server: adds, finds and removes them, and restarts them at the start
`job`, `network`, `pull`, `push`
    what a job is; how one that connects to other servers lives; the two kinds of those
`status`, `pauses`
    its states, and the pauses between its attempts
`settings`
    the settings of each kind, with their types and defaults
`setup_file`, `archive`
    ``pushPullSetup.xml`` as bytes, and as the file on the disk
`destinations`
    where an address leads, and whether it leads back to this very server
"""
