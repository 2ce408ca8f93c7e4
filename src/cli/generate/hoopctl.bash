# Completions of hoopctl for bash. The program itself says what may come next; what it says is never evaluated.
_hoopctl() {
    local answer kind='' word current=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=()
    while IFS= read -r answer; do
        if [[ -z $kind ]]; then
            kind=$answer
        else
            COMPREPLY+=("${answer%%$'\t'*}")
        fi
    done < <(command hoopctl tab bash -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null </dev/null)
    case $kind in
        commands | files)
            [[ $kind == files ]] && compopt -o filenames 2>/dev/null
            while IFS= read -r word; do
                COMPREPLY+=("$word")
            done < <(if [[ $kind == files ]]; then compgen -f -- "$current"; else compgen -c -- "$current"; fi)
            ;;
        *)
            [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
            ;;
    esac
    return 0
}

complete -F _hoopctl hoopctl
