# Read by interactive shells of a lab node.
case $- in *i*) ;; *) return ;; esac

HISTCONTROL=ignoreboth
HISTSIZE=10000
HISTFILESIZE=20000
shopt -s histappend checkwinsize

PS1='\[\e[1;32m\]\u@\h\[\e[0m\]:\[\e[1;34m\]\w\[\e[0m\]\$ '

alias ls='ls --color=auto' ll='ls -l' la='ls -A' grep='grep --color=auto' ip='ip -color=auto'
alias k=kubectl

# Completions load when the first Tab asks for them, so a prompt comes at once.
__lectern_load_completion() {
    complete -r -D
    unset -f __lectern_load_completion
    . /usr/share/bash-completion/bash_completion
    _completion_loader "$@" 2>/dev/null || _comp_load "$1" 2>/dev/null
    return 124
}
complete -D -F __lectern_load_completion
