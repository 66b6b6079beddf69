"""The scripts that make bash, zsh and fish ask at a TAB, and how they are answered.

A script hands over the line up to the cursor as it is typed, and gets a line for each thing that its last word could
become: kind, word and meaning, set off by tabs. The word is whole: what each shell takes for a word (bash ends one at
every =, @ and :) is the business of its script. One that ends in one of `OPEN` is to be typed on.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from itertools import dropwhile
from typing import ClassVar

from click.shell_completion import CompletionItem, ShellComplete, add_completion_class, split_arg_string

from roofsim.cli import ASKED, group

OPEN = ".=:@,/"


class Shell(ShellComplete):
    """What all shells have in common."""

    def source(self) -> str:
        """The script that the shell is to read."""
        return self.source_template % {"variable": ASKED, "open": OPEN, "program": program()}

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words after the program that are whole, and the one at the cursor."""
        line = os.environ.get("COMP_LINE", "")
        words = list(dropwhile(lambda word: "=" in word, split_arg_string(line)))  # NAME=value before the program
        last = words.pop() if words and not line[-1].isspace() else ""
        return words[1:], last

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """As click does, but of `--option=value` the whole word, and of what comes after an option not without it.

        An option that still lacks its value would keep click from reading the arguments of the line.
        """
        option, equals, _ = incomplete.partition("=")
        if equals and option.startswith("-"):
            found = super().get_completions(args, incomplete)
            return [CompletionItem(f"{option}={each.value}", each.type, each.help) for each in found]
        if args and args[-1].startswith("-") and args[-1] != "--" and not option.startswith("-"):
            *args, option = args
            incomplete = f"{option}={incomplete}"
        return super().get_completions(args, incomplete)

    def format_completion(self, item: CompletionItem) -> str:
        """One line."""
        return "\t".join((item.type, item.value, " ".join((item.help or "").split()))).rstrip("\t")


@add_completion_class
class Bash(Shell):
    """`$2` is what bash will replace: the end of the word, from the last character on at which it ends words."""

    name: ClassVar[str] = "bash"
    source_template: ClassVar[str] = r"""
_roofsim() {
    local line=${COMP_LINE:0:COMP_POINT} kind value help
    local -a program=("$(type -P -- "${1/#\~/$HOME}")")
    [[ $program ]] || program=(%(program)s)
    local kept=${line##*[[:space:]]}
    kept=${kept%%"$2"}
    COMPREPLY=()
    while IFS=$'\t' read -r kind value help; do
        case $kind in
            file) compopt -o default 2>/dev/null ;;
            dir) compopt -o dirnames 2>/dev/null ;;
            *) COMPREPLY+=("${value:${#kept}}") ;;
        esac
    done < <(env %(variable)s=bash_complete COMP_LINE="$line" "${program[@]}" 2>/dev/null)
    if [[ ${COMPREPLY[0]-} == *[%(open)s] ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -o nosort -F _roofsim roofsim 2>/dev/null || complete -F _roofsim roofsim
"""


@add_completion_class
class Zsh(Shell):
    """Words with their meanings beside them, in our order."""

    name: ClassVar[str] = "zsh"
    source_template: ClassVar[str] = r"""#compdef roofsim
_roofsim() {
    local each kind word
    local -a parts open open_shown closed closed_shown program=(${(Q)~words[1]})
    (( $+commands[$program[1]] )) || [[ -x $program[1] ]] || program=(%(program)s)
    local line="${(j: :)words[1,CURRENT-1]} $PREFIX"
    for each in "${(@f)$(env %(variable)s=zsh_complete COMP_LINE="$line" $program 2>/dev/null)}"; do
        parts=("${(@ps:\t:)each}")
        word=$parts[2]
        case $parts[1] in
            file) compset -P '*='; _files ;;
            dir) compset -P '*='; _files -/ ;;
            plain)
                if [[ $word == *[%(open)s] ]]; then
                    open+=("$word")
                    open_shown+=("$word${parts[3]:+  -- $parts[3]}")
                else
                    closed+=("$word")
                    closed_shown+=("$word${parts[3]:+  -- $parts[3]}")
                fi ;;
        esac
    done
    (( $#open )) && compadd -U -Q -V roofsim -S '' -d open_shown -a open
    (( $#closed )) && compadd -U -Q -V roofsim -d closed_shown -a closed
    # what is written otherwise than typed is shown, and put in its place only if it is alone
    local -a all=($open $closed)
    (( $#all > 1 && ${#${(M)all:#"$PREFIX"*}} < $#all )) && compstate[insert]=''
    return 0
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _roofsim "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
    compdef _roofsim roofsim
fi
"""


@add_completion_class
class Fish(Shell):
    """fish itself leaves no blank after what is to be typed on."""

    name: ClassVar[str] = "fish"
    source_template: ClassVar[str] = r"""
function __roofsim_complete
    set -l words (commandline -opc)
    set -l program (string replace -r '^~' $HOME -- $words[1])
    command -sq $program; or test -x $program; or set program %(program)s
    set -l typed (string replace -r '^--[^=]*=' '' -- (commandline -ct))
    set -l before (string match -r '^--[^=]*=' -- (commandline -ct)); or set before ''
    for each in (env %(variable)s=fish_complete COMP_LINE=(commandline -cp | string collect) $program 2>/dev/null)
        set -l parts (string split \t -- $each)
        switch $parts[1]
            case file
                for path in (__fish_complete_path $typed); echo $before$path; end
            case dir
                for path in (__fish_complete_directories $typed); echo $before$path; end
            case '*'
                echo -s $parts[2] \t $parts[3]
        end
    end
end
complete --command roofsim --no-files --keep-order --arguments '(__roofsim_complete)'
"""


SHELLS: dict[str, type[Shell]] = {each.name: each for each in (Bash, Zsh, Fish)}


def script(shell: str) -> str:
    """The script that a shell is to read."""
    return SHELLS[shell](group, {}, "roofsim", ASKED).source().strip() + "\n"


def program() -> str:
    """How the program that runs now is typed from anywhere."""
    called = sys.argv[0]
    if not os.path.basename(called).startswith("roofsim"):  # a module of Python
        return f"{shlex.quote(sys.executable)} -m roofsim"
    found = called if os.path.dirname(called) else shutil.which(called) or called
    return shlex.quote(os.path.abspath(found))
