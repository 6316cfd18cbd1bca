# bash completion for sonde(1)
_sonde()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    local commands="agent intake status doctor record replay flare version help"

    if (( COMP_CWORD == 1 )); then
        COMPREPLY=($(compgen -W "$commands --help --version" -- "$cur"))
        return
    fi
    case $prev in
    -c|--config|--socket|--listen-socket|-o|--output) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    --data-dir) COMPREPLY=($(compgen -d -- "$cur")); return ;;
    --log-level) COMPREPLY=($(compgen -W "error warn info debug trace" -- "$cur")); return ;;
    -p|--port|--local-port|--bind|--intake-url|--max-size|--retention|--api-keys|--wait|--listen|--speed) return ;;
    esac
    case ${COMP_WORDS[1]} in
    agent) COMPREPLY=($(compgen -W "--config --port --bind --socket --intake-url --local --no-local --local-port
        --data-dir --log-level --show-config --check-config --help-config --help" -- "$cur")) ;;
    intake) COMPREPLY=($(compgen -W "--config --port --bind --data-dir --max-size --retention --api-keys --log-level
        --help" -- "$cur")) ;;
    status) COMPREPLY=($(compgen -W "--config --port --socket --json --help" -- "$cur")) ;;
    doctor) COMPREPLY=($(compgen -W "--config --port --socket --no-probe --wait --json --help" -- "$cur")) ;;
    record) COMPREPLY=($(compgen -f -W "--listen --listen-socket --max-size --no-agent --config --port --socket --help" \
        -- "$cur")) ;;
    replay) COMPREPLY=($(compgen -f -W "--speed --fast --list --config --port --socket --help" -- "$cur")) ;;
    flare) COMPREPLY=($(compgen -W "--output --config --port --socket --help" -- "$cur")) ;;
    version) COMPREPLY=($(compgen -W "--help" -- "$cur")) ;;
    help) COMPREPLY=($(compgen -W "$commands" -- "$cur")) ;;
    esac
}
complete -F _sonde sonde
