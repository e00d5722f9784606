#!/usr/bin/env bash
# `make demo`: an observation from beginning to end on this machine, in the folder given.
set -euo pipefail
demo=${1:?the folder to work in}
mkdir -p "$demo"
cd "$demo"

step() { printf '\n\033[1m%s\033[0m\n' "$*"; }

step "1. Simulate: 32 dishes of MeerKAT look at three sources for two hours"
emu-simulate --array meerkat --num-antennas 32 --integrations 120 --interval 60 --channels 64 \
    --noise 0.5 --flag-fraction 0.05 --weights random --autocorrelations --overwrite sim.ms

step "2. Receive: four UDP streams, straight into a Measurement Set"
cat > config.yaml <<CONFIG
reception:
  bind_hostname: 127.0.0.1
  port_start: 0                       # any free ports; the ready file tells which
  datamodel: sim.ms
  outputfilename: received.ms
  overwrite: true
transmission:
  channels_per_stream: 16
  time_interval: 0.1                  # six hundred times as fast as real time
CONFIG
rm -f ready.json
emu-recv -c config.yaml --ready-file ready.json --summary-file summary.json &
receiver=$!
trap 'kill $receiver 2>/dev/null || true' EXIT
until [ -e ready.json ]; do kill -0 $receiver; sleep 0.1; done
endpoints=$(python3 -c 'import json; print(",".join(f"127.0.0.1:{p}" for p in json.load(open("ready.json"))["ports"]))')

step "3. Send: the emulator stands in for the correlator"
emu-send -c config.yaml -o "transmission.endpoints=$endpoints" sim.ms
wait $receiver
trap - EXIT

step "4. Compare what was received with what was simulated"
ms-diff --round-trip sim.ms received.ms

step "5. A picture of it"
ms-plot received.ms -o received.png

printf '\nThe Measurement Set: %s\nThe picture:         %s\nThe summary:         %s\n' \
    "$PWD/received.ms" "$PWD/received.png" "$PWD/summary.json"
