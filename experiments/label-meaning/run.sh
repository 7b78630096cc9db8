#!/usr/bin/env bash
# What does each kind of label follow: a row's length, its loss, its gradient's norm? From the reports of experiments/one-step-oracle/kinds.sh.
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"
"$python" "$experiment/meaning.py" "$repository/runs/one-step-oracle" "$experiment"
