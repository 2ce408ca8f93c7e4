# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_hoopctl_global_optspecs
    string join \n broker= broker-pin= workload= output= h/help V/version
end

function __fish_hoopctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_hoopctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_hoopctl_using_subcommand
    set -l cmd (__fish_hoopctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c hoopctl -n "__fish_hoopctl_needs_command" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_needs_command" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_needs_command" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_needs_command" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "login" -d 'Sign in'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "logout" -d 'Sign out at the provider, at the broker and on this machine'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "whoami" -d 'Show who you are to the broker'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "list" -d 'List what you may reach'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "explain" -d 'Show what is masked, denied, held, recorded and not covered on a target'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "connect" -d 'Start the target\'s native client'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "exec" -d 'Run any command with the environment of one or several targets'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "request" -d 'Ask for approval, and review what others ask for'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "grant" -d 'See and take back what was approved'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "session" -d 'Look at sessions, replay them, end them'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "audit" -d 'Verify and read the audit ledger'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "policy" -d 'Check policy and ask it questions'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "broker" -d 'Set up and run a broker'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "device" -d 'Manage the devices that you signed in from'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "ssh-config" -d 'Make plain `ssh TARGET` work, and scp, sftp, rsync, git and ansible with it'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "ssh-proxy" -d 'Carry an SSH connection to a target over standard input and output'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "pg-service" -d 'Make `psql service=TARGET` work, and whatever else reads pg_service.conf'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "ssh-socket" -d 'Hand ssh the socket of a session, on standard output'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "demo" -d 'Run the whole product on this machine, with a database of its own'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "demo-api" -d 'Serve the demo\'s API of reasoning traces, on loopback'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "completions" -d 'Print the completions of a shell'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "generate" -d 'Write completions and man pages'
complete -c hoopctl -n "__fish_hoopctl_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -l provider -d 'The identity provider, when the broker knows several' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -l no-browser -d 'Do not open a browser'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand login" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand logout" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand logout" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand logout" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand logout" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand logout" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand logout" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand whoami" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand whoami" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand whoami" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand whoami" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand whoami" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand whoami" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand list" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand list" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand list" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand list" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand list" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand explain" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand explain" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand explain" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand explain" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand explain" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -l listen -d 'Listen on this loopback address and start no client; port 0 for any free one' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -l reason -d 'Why; reviewers read it' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -l for -d 'For how long to ask' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -l wait -d 'File a request, wait for the answer, at most so long, and go on when it is approved' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -l sticky -d 'The same socket and port each time, for programs that are set up once'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -l request -d 'File a request; ends with 75 and the request\'s id'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand connect" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand exec" -l listen -d 'Listen on this loopback address, for programs that know no Unix sockets; port 0 for any free one' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand exec" -l reason -d 'Why; reviewers read it' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand exec" -l for -d 'For how long to ask' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand exec" -l wait -d 'File a request, wait for the answer, at most so long, and go on when it is approved' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand exec" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand exec" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand exec" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand exec" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand exec" -l sticky -d 'The same sockets and ports each time, for programs that are set up once; one hoopctl at a time'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand exec" -l request -d 'File a request; ends with 75 and the request\'s id'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand exec" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand exec" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and not __fish_seen_subcommand_from approval list show approve deny wait withdraw help" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and not __fish_seen_subcommand_from approval list show approve deny wait withdraw help" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and not __fish_seen_subcommand_from approval list show approve deny wait withdraw help" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and not __fish_seen_subcommand_from approval list show approve deny wait withdraw help" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and not __fish_seen_subcommand_from approval list show approve deny wait withdraw help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and not __fish_seen_subcommand_from approval list show approve deny wait withdraw help" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and not __fish_seen_subcommand_from approval list show approve deny wait withdraw help" -f -a "approval" -d 'Ask for approval of sessions on a target'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and not __fish_seen_subcommand_from approval list show approve deny wait withdraw help" -f -a "list" -d 'List your requests, and those that you may review'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and not __fish_seen_subcommand_from approval list show approve deny wait withdraw help" -f -a "show" -d 'Show all that a reviewer must know of a request'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and not __fish_seen_subcommand_from approval list show approve deny wait withdraw help" -f -a "approve" -d 'Approve a request'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and not __fish_seen_subcommand_from approval list show approve deny wait withdraw help" -f -a "deny" -d 'Deny a request'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and not __fish_seen_subcommand_from approval list show approve deny wait withdraw help" -f -a "wait" -d 'Wait until a request is answered'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and not __fish_seen_subcommand_from approval list show approve deny wait withdraw help" -f -a "withdraw" -d 'Take a request back'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and not __fish_seen_subcommand_from approval list show approve deny wait withdraw help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from approval" -l reason -d 'Why; reviewers read it' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from approval" -l for -d 'For how long' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from approval" -l from -d 'From when on: `2026-12-01T22:00` (your time), `22:00` (the next), with an offset or `Z`, or `+30m`; from the approval on when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from approval" -l extend -d 'Make this grant last longer, instead of asking for another' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from approval" -l idempotency-key -d 'File it once, however often this is called with the same key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from approval" -l wait -d 'Wait for the answer, at most so long' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from approval" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from approval" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from approval" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from approval" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from approval" -l once -d 'For one session only'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from approval" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from approval" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from list" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from list" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from list" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from list" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from list" -l mine -d 'Only your own'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from list" -l reviewable -d 'Only those that you may review'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from show" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from show" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from show" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from show" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from approve" -l reason -d 'Why; the requester reads it' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from approve" -l standing -d 'Also approve, for so long, whatever this requester does that differs only in free literals' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from approve" -l free -d 'Which literals may differ, by the numbers that `request show` gives them' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from approve" -l digest -d 'Sign only if this is the digest of what is asked' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from approve" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from approve" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from approve" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from approve" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from approve" -l yes -d 'Do not ask'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from approve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from approve" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from deny" -l reason -d 'Why; the requester reads it' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from deny" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from deny" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from deny" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from deny" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from deny" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from deny" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from wait" -l limit -d 'At most so long; until it expires when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from wait" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from wait" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from wait" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from wait" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from wait" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from wait" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from withdraw" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from withdraw" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from withdraw" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from withdraw" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from withdraw" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from withdraw" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from help" -f -a "approval" -d 'Ask for approval of sessions on a target'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from help" -f -a "list" -d 'List your requests, and those that you may review'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show all that a reviewer must know of a request'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from help" -f -a "approve" -d 'Approve a request'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from help" -f -a "deny" -d 'Deny a request'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from help" -f -a "wait" -d 'Wait until a request is answered'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from help" -f -a "withdraw" -d 'Take a request back'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand request; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand grant; and not __fish_seen_subcommand_from list revoke help" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand grant; and not __fish_seen_subcommand_from list revoke help" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand grant; and not __fish_seen_subcommand_from list revoke help" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand grant; and not __fish_seen_subcommand_from list revoke help" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand grant; and not __fish_seen_subcommand_from list revoke help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand grant; and not __fish_seen_subcommand_from list revoke help" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand grant; and not __fish_seen_subcommand_from list revoke help" -f -a "list" -d 'List grants and standing decisions: your own, and those on targets where you may review'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand grant; and not __fish_seen_subcommand_from list revoke help" -f -a "revoke" -d 'Take a grant back and close its sessions, or take back a standing decision'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand grant; and not __fish_seen_subcommand_from list revoke help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand grant; and __fish_seen_subcommand_from list" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand grant; and __fish_seen_subcommand_from list" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand grant; and __fish_seen_subcommand_from list" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand grant; and __fish_seen_subcommand_from list" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand grant; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand grant; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand grant; and __fish_seen_subcommand_from revoke" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand grant; and __fish_seen_subcommand_from revoke" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand grant; and __fish_seen_subcommand_from revoke" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand grant; and __fish_seen_subcommand_from revoke" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand grant; and __fish_seen_subcommand_from revoke" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand grant; and __fish_seen_subcommand_from revoke" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand grant; and __fish_seen_subcommand_from help" -f -a "list" -d 'List grants and standing decisions: your own, and those on targets where you may review'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand grant; and __fish_seen_subcommand_from help" -f -a "revoke" -d 'Take a grant back and close its sessions, or take back a standing decision'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand grant; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and not __fish_seen_subcommand_from list show replay kill help" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and not __fish_seen_subcommand_from list show replay kill help" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and not __fish_seen_subcommand_from list show replay kill help" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and not __fish_seen_subcommand_from list show replay kill help" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and not __fish_seen_subcommand_from list show replay kill help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and not __fish_seen_subcommand_from list show replay kill help" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and not __fish_seen_subcommand_from list show replay kill help" -f -a "list" -d 'List your sessions, and those that you may audit'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and not __fish_seen_subcommand_from list show replay kill help" -f -a "show" -d 'Show one session'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and not __fish_seen_subcommand_from list show replay kill help" -f -a "replay" -d 'See again what a session asked and was shown'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and not __fish_seen_subcommand_from list show replay kill help" -f -a "kill" -d 'End a session now'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and not __fish_seen_subcommand_from list show replay kill help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from list" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from list" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from list" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from list" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from show" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from show" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from show" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from show" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from replay" -l speed -d 'How many times faster than it was' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from replay" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from replay" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from replay" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from replay" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from replay" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from replay" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from kill" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from kill" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from kill" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from kill" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from kill" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from kill" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from help" -f -a "list" -d 'List your sessions, and those that you may audit'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show one session'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from help" -f -a "replay" -d 'See again what a session asked and was shown'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from help" -f -a "kill" -d 'End a session now'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand session; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and not __fish_seen_subcommand_from verify tail help" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and not __fish_seen_subcommand_from verify tail help" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and not __fish_seen_subcommand_from verify tail help" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and not __fish_seen_subcommand_from verify tail help" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and not __fish_seen_subcommand_from verify tail help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and not __fish_seen_subcommand_from verify tail help" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and not __fish_seen_subcommand_from verify tail help" -f -a "verify" -d 'Prove that nothing in the ledger was altered, removed or reordered'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and not __fish_seen_subcommand_from verify tail help" -f -a "tail" -d 'Show the last entries'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and not __fish_seen_subcommand_from verify tail help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from verify" -l dir -d 'Read the ledger\'s files from this folder instead of from the broker' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from verify" -l key -d 'A file with the ledger\'s public key; else the one remembered, else the ledger\'s own word' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from verify" -l checkpoint -d 'A file with an older checkpoint that somebody kept' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from verify" -l recordings -d 'Check the chunks of all recordings too; with --dir, in this folder' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from verify" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from verify" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from verify" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from verify" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from verify" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from tail" -s n -l lines -d 'How many entries' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from tail" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from tail" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from tail" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from tail" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from tail" -s f -l follow -d 'Go on as entries come'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from tail" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from tail" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Prove that nothing in the ledger was altered, removed or reordered'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from help" -f -a "tail" -d 'Show the last entries'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand audit; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and not __fish_seen_subcommand_from check explain test help" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and not __fish_seen_subcommand_from check explain test help" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and not __fish_seen_subcommand_from check explain test help" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and not __fish_seen_subcommand_from check explain test help" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and not __fish_seen_subcommand_from check explain test help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and not __fish_seen_subcommand_from check explain test help" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and not __fish_seen_subcommand_from check explain test help" -f -a "check" -d 'Validate the policy of a configuration, or of Cedar files'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and not __fish_seen_subcommand_from check explain test help" -f -a "explain" -d 'Ask whether somebody may do something, and why'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and not __fish_seen_subcommand_from check explain test help" -f -a "test" -d 'Judge the cases of a file, and compare with what is expected of them'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and not __fish_seen_subcommand_from check explain test help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from check" -l config -d 'The broker\'s configuration file' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from check" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from check" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from check" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from check" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from check" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from explain" -l config -d 'The broker\'s configuration file' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from explain" -l as -d 'Who asks, as `hoopctl whoami` shows it' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from explain" -l group -d 'A group that they are in; may be repeated' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from explain" -l action -d 'What they want' -r -f -a "audit\t'See other people\'s sessions and the ledger'
connect\t'Open a session'
kill\t'End other people\'s sessions'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from explain" -l sql -d 'A statement that they want to run, instead; its names are read as they are written' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from explain" -l exec -d 'A command line that they want to run on a host, instead' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from explain" -l file -d 'A file of a host that they want to reach over SFTP or scp, instead' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from explain" -l operation -d 'What they want to do with the file, as policies spell it' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from explain" -l to -d 'The second path of a rename or link' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from explain" -l call -d 'A call of an API that they want to make, instead; `GET` when there is no method' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from explain" -l header -d 'A header of the call; may be repeated' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from explain" -l body -d 'The body of the call' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from explain" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from explain" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from explain" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from explain" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from explain" -l terminal -d 'The command has a terminal, as with `ssh -t`'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from explain" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from test" -l config -d 'The broker\'s configuration file' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from test" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from test" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from test" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from test" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from test" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from test" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "check" -d 'Validate the policy of a configuration, or of Cedar files'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "explain" -d 'Ask whether somebody may do something, and why'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "test" -d 'Judge the cases of a file, and compare with what is expected of them'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and not __fish_seen_subcommand_from init check objects ssh-ca serve help" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and not __fish_seen_subcommand_from init check objects ssh-ca serve help" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and not __fish_seen_subcommand_from init check objects ssh-ca serve help" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and not __fish_seen_subcommand_from init check objects ssh-ca serve help" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and not __fish_seen_subcommand_from init check objects ssh-ca serve help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and not __fish_seen_subcommand_from init check objects ssh-ca serve help" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and not __fish_seen_subcommand_from init check objects ssh-ca serve help" -f -a "init" -d 'Write a commented configuration file'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and not __fish_seen_subcommand_from init check objects ssh-ca serve help" -f -a "check" -d 'List every problem of a configuration'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and not __fish_seen_subcommand_from init check objects ssh-ca serve help" -f -a "objects" -d 'List what the broker keeps in a target\'s database, or remove it'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and not __fish_seen_subcommand_from init check objects ssh-ca serve help" -f -a "ssh-ca" -d 'Print the key that hosts must trust, for TrustedUserCAKeys of sshd'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and not __fish_seen_subcommand_from init check objects ssh-ca serve help" -f -a "serve" -d 'Run the broker'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and not __fish_seen_subcommand_from init check objects ssh-ca serve help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from init" -l config -d 'The broker\'s configuration file' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from init" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from init" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from init" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from init" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from init" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from check" -l config -d 'The broker\'s configuration file' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from check" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from check" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from check" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from check" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from check" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from objects" -l config -d 'The broker\'s configuration file' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from objects" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from objects" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from objects" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from objects" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from objects" -l remove -d 'Remove the schema `hoopctl`, and its owner where no other database needs it'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from objects" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from objects" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from ssh-ca" -l config -d 'The broker\'s configuration file' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from ssh-ca" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from ssh-ca" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from ssh-ca" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from ssh-ca" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from ssh-ca" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from ssh-ca" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from serve" -l config -d 'The broker\'s configuration file' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from serve" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from serve" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from serve" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from serve" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from serve" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from help" -f -a "init" -d 'Write a commented configuration file'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from help" -f -a "check" -d 'List every problem of a configuration'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from help" -f -a "objects" -d 'List what the broker keeps in a target\'s database, or remove it'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from help" -f -a "ssh-ca" -d 'Print the key that hosts must trust, for TrustedUserCAKeys of sshd'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from help" -f -a "serve" -d 'Run the broker'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand broker; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and not __fish_seen_subcommand_from confirm list revoke help" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and not __fish_seen_subcommand_from confirm list revoke help" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and not __fish_seen_subcommand_from confirm list revoke help" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and not __fish_seen_subcommand_from confirm list revoke help" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and not __fish_seen_subcommand_from confirm list revoke help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and not __fish_seen_subcommand_from confirm list revoke help" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and not __fish_seen_subcommand_from confirm list revoke help" -f -a "confirm" -d 'Let a new device in that waits with this code'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and not __fish_seen_subcommand_from confirm list revoke help" -f -a "list" -d 'List your devices, and those that wait to be confirmed'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and not __fish_seen_subcommand_from confirm list revoke help" -f -a "revoke" -d 'Revoke a device and those that it let in, and end their sessions'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and not __fish_seen_subcommand_from confirm list revoke help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and __fish_seen_subcommand_from confirm" -l key -d 'Do not ask; the key that you have compared' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and __fish_seen_subcommand_from confirm" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and __fish_seen_subcommand_from confirm" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and __fish_seen_subcommand_from confirm" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and __fish_seen_subcommand_from confirm" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and __fish_seen_subcommand_from confirm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and __fish_seen_subcommand_from confirm" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and __fish_seen_subcommand_from list" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and __fish_seen_subcommand_from list" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and __fish_seen_subcommand_from list" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and __fish_seen_subcommand_from list" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and __fish_seen_subcommand_from revoke" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and __fish_seen_subcommand_from revoke" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and __fish_seen_subcommand_from revoke" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and __fish_seen_subcommand_from revoke" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and __fish_seen_subcommand_from revoke" -l only -d 'Leave the devices that it let in'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and __fish_seen_subcommand_from revoke" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and __fish_seen_subcommand_from revoke" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and __fish_seen_subcommand_from help" -f -a "confirm" -d 'Let a new device in that waits with this code'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and __fish_seen_subcommand_from help" -f -a "list" -d 'List your devices, and those that wait to be confirmed'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and __fish_seen_subcommand_from help" -f -a "revoke" -d 'Revoke a device and those that it let in, and end their sessions'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand device; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ssh-config" -l file -d 'The configuration of ssh that includes it; ~/.ssh/config when absent' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ssh-config" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ssh-config" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ssh-config" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ssh-config" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ssh-config" -l dry-run -d 'Show what would be written, and write nothing'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ssh-config" -l remove -d 'Take away what was written'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ssh-config" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ssh-config" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ssh-proxy" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ssh-proxy" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ssh-proxy" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ssh-proxy" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ssh-proxy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ssh-proxy" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand pg-service" -l file -d 'The file of services; that of PGSERVICEFILE, else ~/.pg_service.conf, when absent' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand pg-service" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand pg-service" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand pg-service" -l workload -d 'Sign in as a workload: `token-file:PATH` or `env:NAME`, read anew for each exchange' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand pg-service" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand pg-service" -l dry-run -d 'Show what would be written, and write nothing'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand pg-service" -l remove -d 'Take away what was written'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand pg-service" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand pg-service" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ssh-socket" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ssh-socket" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ssh-socket" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ssh-socket" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ssh-socket" -l carry -d 'Carry its bytes over standard input and output instead'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ssh-socket" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand ssh-socket" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo" -l data-dir -d 'The folder that holds everything; it must be new or empty' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo" -l port -d 'The broker\'s port; any free one when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo" -l tour -d 'Do the main job from login to verification, check every promise, and end'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo-api" -l listen -d 'The loopback address' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo-api" -l key-file -d 'The file with the key that callers must show' -r -F
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo-api" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo-api" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo-api" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo-api" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo-api" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand demo-api" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand completions" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand completions" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand completions" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand completions" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand completions" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand generate" -l broker -d 'The broker to use; the one of the last login when absent' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand generate" -l broker-pin -d 'What the broker\'s certificate must lead to: the SHA-256 of a public key' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand generate" -l workload -d 'Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`' -r
complete -c hoopctl -n "__fish_hoopctl_using_subcommand generate" -l output -d 'How results are written to standard output' -r -f -a "json\t'Objects with a `version`; one per line for streams'
text\t'For people'"
complete -c hoopctl -n "__fish_hoopctl_using_subcommand generate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand generate" -s V -l version -d 'Print version'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami list explain connect exec request grant session audit policy broker device ssh-config ssh-proxy pg-service ssh-socket demo demo-api completions generate help" -f -a "login" -d 'Sign in'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami list explain connect exec request grant session audit policy broker device ssh-config ssh-proxy pg-service ssh-socket demo demo-api completions generate help" -f -a "logout" -d 'Sign out at the provider, at the broker and on this machine'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami list explain connect exec request grant session audit policy broker device ssh-config ssh-proxy pg-service ssh-socket demo demo-api completions generate help" -f -a "whoami" -d 'Show who you are to the broker'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami list explain connect exec request grant session audit policy broker device ssh-config ssh-proxy pg-service ssh-socket demo demo-api completions generate help" -f -a "list" -d 'List what you may reach'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami list explain connect exec request grant session audit policy broker device ssh-config ssh-proxy pg-service ssh-socket demo demo-api completions generate help" -f -a "explain" -d 'Show what is masked, denied, held, recorded and not covered on a target'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami list explain connect exec request grant session audit policy broker device ssh-config ssh-proxy pg-service ssh-socket demo demo-api completions generate help" -f -a "connect" -d 'Start the target\'s native client'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami list explain connect exec request grant session audit policy broker device ssh-config ssh-proxy pg-service ssh-socket demo demo-api completions generate help" -f -a "exec" -d 'Run any command with the environment of one or several targets'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami list explain connect exec request grant session audit policy broker device ssh-config ssh-proxy pg-service ssh-socket demo demo-api completions generate help" -f -a "request" -d 'Ask for approval, and review what others ask for'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami list explain connect exec request grant session audit policy broker device ssh-config ssh-proxy pg-service ssh-socket demo demo-api completions generate help" -f -a "grant" -d 'See and take back what was approved'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami list explain connect exec request grant session audit policy broker device ssh-config ssh-proxy pg-service ssh-socket demo demo-api completions generate help" -f -a "session" -d 'Look at sessions, replay them, end them'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami list explain connect exec request grant session audit policy broker device ssh-config ssh-proxy pg-service ssh-socket demo demo-api completions generate help" -f -a "audit" -d 'Verify and read the audit ledger'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami list explain connect exec request grant session audit policy broker device ssh-config ssh-proxy pg-service ssh-socket demo demo-api completions generate help" -f -a "policy" -d 'Check policy and ask it questions'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami list explain connect exec request grant session audit policy broker device ssh-config ssh-proxy pg-service ssh-socket demo demo-api completions generate help" -f -a "broker" -d 'Set up and run a broker'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami list explain connect exec request grant session audit policy broker device ssh-config ssh-proxy pg-service ssh-socket demo demo-api completions generate help" -f -a "device" -d 'Manage the devices that you signed in from'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami list explain connect exec request grant session audit policy broker device ssh-config ssh-proxy pg-service ssh-socket demo demo-api completions generate help" -f -a "ssh-config" -d 'Make plain `ssh TARGET` work, and scp, sftp, rsync, git and ansible with it'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami list explain connect exec request grant session audit policy broker device ssh-config ssh-proxy pg-service ssh-socket demo demo-api completions generate help" -f -a "ssh-proxy" -d 'Carry an SSH connection to a target over standard input and output'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami list explain connect exec request grant session audit policy broker device ssh-config ssh-proxy pg-service ssh-socket demo demo-api completions generate help" -f -a "pg-service" -d 'Make `psql service=TARGET` work, and whatever else reads pg_service.conf'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami list explain connect exec request grant session audit policy broker device ssh-config ssh-proxy pg-service ssh-socket demo demo-api completions generate help" -f -a "ssh-socket" -d 'Hand ssh the socket of a session, on standard output'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami list explain connect exec request grant session audit policy broker device ssh-config ssh-proxy pg-service ssh-socket demo demo-api completions generate help" -f -a "demo" -d 'Run the whole product on this machine, with a database of its own'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami list explain connect exec request grant session audit policy broker device ssh-config ssh-proxy pg-service ssh-socket demo demo-api completions generate help" -f -a "demo-api" -d 'Serve the demo\'s API of reasoning traces, on loopback'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami list explain connect exec request grant session audit policy broker device ssh-config ssh-proxy pg-service ssh-socket demo demo-api completions generate help" -f -a "completions" -d 'Print the completions of a shell'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami list explain connect exec request grant session audit policy broker device ssh-config ssh-proxy pg-service ssh-socket demo demo-api completions generate help" -f -a "generate" -d 'Write completions and man pages'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami list explain connect exec request grant session audit policy broker device ssh-config ssh-proxy pg-service ssh-socket demo demo-api completions generate help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from request" -f -a "approval" -d 'Ask for approval of sessions on a target'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from request" -f -a "list" -d 'List your requests, and those that you may review'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from request" -f -a "show" -d 'Show all that a reviewer must know of a request'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from request" -f -a "approve" -d 'Approve a request'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from request" -f -a "deny" -d 'Deny a request'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from request" -f -a "wait" -d 'Wait until a request is answered'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from request" -f -a "withdraw" -d 'Take a request back'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from grant" -f -a "list" -d 'List grants and standing decisions: your own, and those on targets where you may review'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from grant" -f -a "revoke" -d 'Take a grant back and close its sessions, or take back a standing decision'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from session" -f -a "list" -d 'List your sessions, and those that you may audit'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from session" -f -a "show" -d 'Show one session'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from session" -f -a "replay" -d 'See again what a session asked and was shown'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from session" -f -a "kill" -d 'End a session now'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from audit" -f -a "verify" -d 'Prove that nothing in the ledger was altered, removed or reordered'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from audit" -f -a "tail" -d 'Show the last entries'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "check" -d 'Validate the policy of a configuration, or of Cedar files'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "explain" -d 'Ask whether somebody may do something, and why'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "test" -d 'Judge the cases of a file, and compare with what is expected of them'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from broker" -f -a "init" -d 'Write a commented configuration file'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from broker" -f -a "check" -d 'List every problem of a configuration'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from broker" -f -a "objects" -d 'List what the broker keeps in a target\'s database, or remove it'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from broker" -f -a "ssh-ca" -d 'Print the key that hosts must trust, for TrustedUserCAKeys of sshd'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from broker" -f -a "serve" -d 'Run the broker'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from device" -f -a "confirm" -d 'Let a new device in that waits with this code'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from device" -f -a "list" -d 'List your devices, and those that wait to be confirmed'
complete -c hoopctl -n "__fish_hoopctl_using_subcommand help; and __fish_seen_subcommand_from device" -f -a "revoke" -d 'Revoke a device and those that it let in, and end their sessions'
