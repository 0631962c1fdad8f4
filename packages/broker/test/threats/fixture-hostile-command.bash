# A command that tries what it should not be able to do, one attack a run, by shell builtins alone. Says GOT when it worked.
attack=$1 secret=$2 folder=$3 port=$4 broker=$5
case $MACHTYPE in aarch64*) memfd=279 mmap=222 ;; *) memfd=319 mmap=9 ;; esac
case $attack in
  "read a secret file") mapfile -t lines < "$secret" && echo "GOT ${lines[0]}" ;;
  "read the environment of the broker") mapfile -d '' -t vars < "/proc/$broker/environ" && echo "GOT ${#vars[@]}" ;;
  "read the passwords of the machine") mapfile -t lines < /etc/shadow && echo "GOT ${#lines[@]}" ;;
  "see the environment that the broker has") [ -n "$COUNTERSIGN_TEST_SECRET" ] && echo GOT ;;
  "write elsewhere") echo planted > "$folder/planted" && echo GOT ;;
  "write where only others should") echo x > /usr/bin/planted-by-countersign-test && echo GOT ;;
  "open a host") exec 3<> "/dev/tcp/127.0.0.1/$port" && echo GOT ;;
  "send a datagram") exec 3<> "/dev/udp/127.0.0.1/$port" && echo x >&3 && echo GOT ;;
  "signal the broker") kill -0 "$broker" && echo GOT ;;
  "start another process") /usr/bin/true && echo GOT ;;
  "fork") (echo GOT) ;;
  "fill memory") printf -v filled '%*s' 700000000 '' && echo "GOT ${#filled}" ;;
  "fill a file") printf '%*s' 100000000 '' > "${TMPDIR:-/tmp}/countersign-filled" && echo GOT ;;
  "fill shared memory") printf '%*s' 100000000 '' > /dev/shm/countersign-filled && echo GOT ;;
  "make a memory file") exec /usr/bin/perl -e 'my $name = "x"; print "GOT\n" if syscall($ARGV[0] + 0, $name, 0) >= 0' "$memfd" ;;
  "map shared memory") exec /usr/bin/perl -e 'print "GOT\n" if syscall($ARGV[0] + 0, 0, 1 << 20, 3, 0x21, -1, 0) != -1' "$mmap" ;;
  "burn the processor") for ((i = 0; i < 5000000; i++)); do :; done; echo GOT ;;
  "fill output") for ((i = 0; i < 100000; i++)); do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done; echo GOT ;;
esac
