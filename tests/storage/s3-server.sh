#!/usr/bin/env bash
# A real S3 server on this machine: Ceph's gateway over a store in memory.
#   s3-server.sh start DIR PORT      about 15 s; 40 more ports, from PORT + 1, are its own
#   s3-server.sh kill  DIR           the gateway alone, as by `kill -9`
#   s3-server.sh again DIR PORT      the gateway alone, anew, with all that was stored
#   s3-server.sh stop  DIR
# Needs Debian's ceph-mon, ceph-osd, ceph-common and radosgw.
set -euo pipefail
action=$1 dir=$(realpath -m "$2") port=${3:-0}
conf=$dir/ceph.conf
ceph_() { ceph -c "$conf" "$@"; }

gateway() {
  timeout 90 radosgw -n client.rgw.x -c "$conf"
  for _ in $(seq 300); do curl -s -o /dev/null "http://127.0.0.1:$port" && return; sleep 0.2; done
  exit 1
}

case $action in
kill) kill -9 "$(cat "$dir/run/client.rgw.x.pid")"; exit ;;
again) gateway; exit ;;
stop) for file in "$dir"/run/*.pid; do kill -9 "$(cat "$file")" 2>/dev/null || true; done; exit ;;
esac

mkdir -p "$dir"/{mon,osd0,run,log,rgw}
cat >"$conf" <<C
[global]
fsid=$(cat /proc/sys/kernel/random/uuid)
mon host=[v2:127.0.0.1:$((port + 1)),v1:127.0.0.1:$((port + 2))]
public addr=127.0.0.1
keyring=$dir/keyring
osd pool default size=1
osd pool default min size=1
mon allow pool size one=true
mon warn on pool no redundancy=false
auth allow insecure global id reclaim=false
osd pool default pg num=1
osd pool default pgp num=1
osd pool default pg autoscale mode=off
osd crush chooseleaf type=0
osd crush update on start=false
osd objectstore=memstore
memstore device bytes=4294967296
ms bind port min=$((port + 3))
ms bind port max=$((port + 40))
run dir=$dir/run
log file=$dir/log/\$name.log
admin socket=$dir/run/\$name.asok
pid file=$dir/run/\$name.pid
mon data=$dir/mon
osd data=$dir/osd0
rgw data=$dir/rgw
mon data avail warn=1
mon data avail crit=1
[client.rgw.x]
rgw frontends=beast endpoint=127.0.0.1:$port
rgw dynamic resharding=false
C
ceph-authtool --create-keyring "$dir/keyring" --gen-key -n mon. --cap mon 'allow *' >/dev/null
for name in client.admin client.rgw.x osd.0; do
  ceph-authtool "$dir/keyring" --gen-key -n $name --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *' >/dev/null
done
monmaptool --create --fsid "$(sed -n 's/^fsid=//p' "$conf")" \
  --addv a "[v2:127.0.0.1:$((port + 1)),v1:127.0.0.1:$((port + 2))]" "$dir/monmap" >/dev/null
ceph-mon -i a --mkfs --monmap "$dir/monmap" --keyring "$dir/keyring" -c "$conf"
ceph-mon -i a -c "$conf"
osd=$(cat /proc/sys/kernel/random/uuid)
ceph_ osd new "$osd" 0 >/dev/null
ceph_ auth import -i "$dir/keyring" 2>/dev/null
ceph-osd -i 0 --mkfs --osd-uuid "$osd" -c "$conf" >/dev/null 2>&1
ceph_ osd crush add osd.0 1.0 root=default host=h >/dev/null 2>&1
ceph-osd -i 0 -c "$conf" >/dev/null 2>&1
gateway
radosgw-admin -c "$conf" user create --uid=test --display-name=test \
  --access-key=TESTKEY --secret-key=TESTSECRET >/dev/null 2>&1
