# Completions of hoopctl for fish. The program itself says what may come next; what it says is never evaluated.
function __hoopctl_complete
    set -l words (commandline -opc)
    set -e words[1]
    set -l current (commandline -ct)
    set -l answers (command hoopctl tab fish -- $words "$current" 2>/dev/null </dev/null)
    switch "$answers[1]"
        case commands
            __fish_complete_command
        case files
            __fish_complete_path "$current"
        case '*'
            set -e answers[1]
            # without arguments it would offer an empty word
            set -q answers[1]; and printf '%s\n' $answers
    end
end

complete -c hoopctl -f -a '(__hoopctl_complete)'
