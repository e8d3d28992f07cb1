# SPDX-License-Identifier: Apache-2.0
# Completion of bash for spoe-host.
# Made by tools/options, of the option tables. Change it there, or in dist/spoe-host.bash.in.
# Plugins, and what they take, are asked for when they are needed: of the folders, and of the program.

# The values of an option that has a choice.
_spoe_host_choices() { # KEY
    case $1 in
        print-haproxy-config) printf '%s\n' spoe log both ;;
        plugin-trust) printf '%s\n' checked any ;;
        plugin-health) printf '%s\n' ignored down degraded ;;
        log-level) printf '%s\n' err warning notice info debug error warn ;;
        log-format) printf '%s\n' logfmt json ;;
    esac
}

# The plugins in the folders, without ".so".
_spoe_host_plugins() {
    local dirs=${SPOE_PLUGIN_DIR-} program dir file i
    for ((i = 1; i < ${#COMP_WORDS[@]} - 1; i++)); do
        [[ ${COMP_WORDS[i]} = --plugin-dir ]] || continue
        dirs=${COMP_WORDS[i + 1]}
        [[ $dirs != = ]] || dirs=${COMP_WORDS[i + 2]-}
    done
    if [[ -z $dirs ]]; then
        program=$(type -P "$1") || return
        program=$(readlink -f "$program")
        dirs=${program%/*}/../lib/spoe-host/plugins
    fi
    local IFS=:
    for dir in $dirs; do
        for file in "$dir"/*.so "$dir"/optional/*.so; do
            [[ -e $file ]] || continue
            file=${file##*/}
            printf '%s\n' "${file%.so}"
        done
    done
}

# What ID of ID.KEY can be: without a space, since the key follows.
_spoe_host_ids() { # PROGRAM
    local id
    for id in host $(_spoe_host_plugins "$1"); do
        printf '%s.\n' "$id"
    done
}

# What --plugin-info says of an option, or all of them: "KEY accepted".
_spoe_host_options() { # PROGRAM ID
    "$1" --plugin-info "$2" 2>/dev/null </dev/null | sed -n "s/^    $2\\.\\([a-z0-9-]*\\)  \\([^;]*\\).*/\\1 \\2/p"
}

# ID.KEY of --set; without a space, since = follows.
_spoe_host_set() { # PROGRAM CUR
    local id=${2%%.*} word
    if [[ $2 != *.* ]]; then
        _spoe_host_ids "$1"
    elif [[ $id = host ]]; then
        for word in listen socket-group log-listen log-from log-delay log-line-max log-receive-buffer admin admin-hosts admin-token-file plugin-dir plugins plugin-trust workers max-frame-size max-connections processing-timeout slow-handle max-pending hello-timeout idle-timeout shutdown-timeout drain-time plugin-health log-level log-format engine; do
            printf 'host.%s=\n' "$word"
        done
    else
        _spoe_host_options "$1" "$id" | while read -r word _; do
            printf '%s.%s=\n' "$id" "$word"
        done
    fi
}

# The values of ID.KEY.
_spoe_host_value() { # PROGRAM ID.KEY
    local id=${2%%.*} key=${2#*.} name text
    if [[ $id = host ]]; then
        _spoe_host_choices "$key"
        return
    fi
    _spoe_host_options "$1" "$id" | while read -r name text; do
        [[ $name = "$key" ]] || continue
        case $text in
        "one of "*) tr -d ' ' <<<"${text#one of }" | tr ',' '\n' ;;
        "on or off") printf '%s\n' on off ;;
        esac
    done
}

# Behind ctl. Values of --url and of most options are of nobody's knowledge.
_spoe_host_ctl() { # PROGRAM CUR
    local cur=$2 i command='' at=0 words='' option
    for ((i = 2; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -f | --socket|--url|--file|--token-file) # its value, of several words where it has = or :
            ((i++))
            while [[ ${COMP_WORDS[i]} = [=:]* || ${COMP_WORDS[i + 1]-} = [=:]* ]] && ((i + 1 <= COMP_CWORD)); do
                ((i++))
            done
            ;;
        status|set|trace)
            command=${COMP_WORDS[i]}
            at=$i
            break
            ;;
        esac
    done
    option=${COMP_WORDS[COMP_CWORD - 1]}
    [[ $option != = ]] || option=${COMP_WORDS[COMP_CWORD - 2]}
    if [[ -z $command ]]; then
        [[ $cur != = ]] || cur=''
        case $option in
        -f | --socket | --file | --token-file)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return
            ;;
        --url) return ;;
        esac
        words="status set trace --json --socket --url --file --token-file -f"
    elif [[ $command = set ]]; then
        if (((COMP_CWORD - at) % 2 == 1)); then
            words=$(_spoe_host_changing "$1" "$cur")
            [[ $words != *. ]] || compopt -o nospace
        else
            words=$(_spoe_host_value "$1" "$option")
        fi
    elif [[ $COMP_CWORD -eq $((at + 1)) ]]; then
        words=--json
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

# ID.KEY of what can change at run time.
_spoe_host_changing() { # PROGRAM CUR
    local id=${2%%.*} word
    if [[ $2 != *.* ]]; then
        _spoe_host_ids "$1"
    elif [[ $id = host ]]; then
        for word in admin-token-file log-level log-format; do
            printf 'host.%s\n' "$word"
        done
    else
        "$1" --plugin-info "$id" 2>/dev/null </dev/null |
            sed -n "s/^    \\($id\\.[a-z0-9-]*\\)  .*; can change at run time.*/\\1/p"
    fi
}

_spoe_host() {
    local cur=${COMP_WORDS[COMP_CWORD]} i=$((COMP_CWORD - 1)) option='' words='' before=''
    COMPREPLY=()
    if [[ ${COMP_WORDS[1]-} = ctl && $COMP_CWORD -ge 2 ]]; then
        _spoe_host_ctl "$1" "$cur"
        return
    fi
    # bash takes = for a word of its own: --KEY = VALUE, --set ID.KEY = VALUE
    if [[ $cur = = ]]; then
        cur=''
        i=$COMP_CWORD
    fi
    if [[ ${COMP_WORDS[i]} = = && $i -ge 2 && ${COMP_WORDS[i - 1]} != -* ]]; then
        words=$(_spoe_host_value "$1" "${COMP_WORDS[i - 1]}")
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
        return
    fi
    [[ ${COMP_WORDS[i]} != = ]] || i=$((i - 1))
    option=${COMP_WORDS[i]}
    case $option in
    -f | --file | --try-file)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --plugin-dir)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        return
        ;;
    --socket-group)
        mapfile -t COMPREPLY < <(compgen -g -- "$cur")
        return
        ;;
    --plugins)
        [[ $cur != *,* ]] || before=${cur%,*},
        words=$(_spoe_host_plugins "$1")
        mapfile -t COMPREPLY < <(compgen -P "$before" -W "$words" -- "${cur##*,}")
        return
        ;;
    --plugin-info | --print-options)
        words=$(_spoe_host_plugins "$1")
        [[ $option = --plugin-info ]] || words+=$'\nhost'
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur"; compgen -f -X '!*.so' -- "$cur")
        return
        ;;
    --set)
        words=$(_spoe_host_set "$1" "$cur")
        compopt -o nospace
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
        return
        ;;
    esac
    case " --file --set --plugin-info --print-options --print-haproxy-config --for --try --try-file --new-plugin --listen --socket-group --log-listen --log-from --log-delay --log-line-max --log-receive-buffer --admin --admin-hosts --admin-token-file --plugin-dir --plugins --plugin-trust --workers --max-frame-size --max-connections --processing-timeout --slow-handle --max-pending --hello-timeout --idle-timeout --shutdown-timeout --drain-time --plugin-health --log-level --log-format --engine " in
    *" $option "*) # a value, of a choice or of nobody's knowledge
        words=$(_spoe_host_choices "${option#--}")
        ;;
    *)
        words="--help --version --check --print-config --file --set --plugin-info --print-options --print-spoe-config --print-haproxy-config --for --send-test-span --try --try-file --new-plugin -h -v -t -T -f --listen --socket-group --log-listen --log-from --log-delay --log-line-max --log-receive-buffer --admin --admin-hosts --admin-token-file --plugin-dir --plugins --plugin-trust --workers --max-frame-size --max-connections --processing-timeout --slow-handle --max-pending --hello-timeout --idle-timeout --shutdown-timeout --drain-time --plugin-health --log-level --log-format --engine"
        [[ $COMP_CWORD -ne 1 ]] || words+=' ctl'
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _spoe_host spoe-host
