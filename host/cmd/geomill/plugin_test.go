package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"geomill/host"

	"github.com/google/go-cmp/cmp"
)

// noon is the time at which the tables of these tests are printed, in the zone
// of the machine, as the tables are.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.Local)

// decodePlugins reads what --json prints.
func decodePlugins(t *testing.T, text string) (list []host.Plugin) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&list); err != nil {
		t.Fatal(err)
	}
	return list
}

const somePlugins = `[
  {"file": "raster", "path": "/p/raster", "target": "/opt/raster", "state": "ready", "since": "2026-11-23T11:00:00Z", "name": "raster-tools", "version": "1.4.2",
   "hash": "0123456789abcdef", "crashes": 1, "reason": "process slope is not offered: already offered by a",
   "processes": [{"id": "ndvi", "version": "1.0.0", "isolation": "shared", "slots": 4, "timeoutSeconds": 90}, {"id": "slope", "version": "1.0.0", "reason": "already offered by a"}],
   "instances": [{"pid": 41, "state": "ready", "since": "2026-11-23T11:00:00Z", "jobs": 2, "memoryBytes": 20000000, "cpuSeconds": 1.25},
                 {"pid": 42, "state": "draining", "since": "2026-11-23T11:59:00Z", "jobs": 1}]},
  {"file": "evil\u001b[31m", "path": "/p/evil", "state": "refused", "since": "2026-11-21T12:00:00Z", "reason": "not executable: chmod +x /p/evil", "crashes": 0, "processes": [], "instances": []},
  {"file": "weak", "path": "/p/weak", "state": "quarantined", "since": "2026-11-23T11:59:30Z", "name": "weak", "version": "1", "hash": "ff", "reason": "the plugin ended unexpectedly (exit status 2)", "crashes": 5,
   "retryAt": "2026-11-23T13:00:00Z", "available": ["1", "0.9"], "previous": {"name": "weak", "version": "0.9", "hash": "ee", "since": "2026-11-20T13:00:00Z"},
   "trustPolicy": "tofu", "pins": [{"hash": "ff", "name": "weak", "version": "1", "accepted": "2026-11-23T10:00:00Z", "how": "first-use"}], "settings": {"a": 1},
   "counters": {"starts": {"ready": 5, "failed": 0}, "ends": {"crash": 5}, "quarantines": 1, "resets": 0, "jobs": 7},
   "history": [{"time": "2026-11-23T11:59:30Z", "instance": 3, "pid": 77, "from": "ready", "to": "crashed", "reason": "it exited"}],
   "processes": [{"id": "faint", "version": "1"}], "instances": [],
   "lastLines": [{"time": "2026-11-23T11:59:30Z", "level": "error", "from": "plugin", "stream": "stderr", "instance": 3, "message": "panic: no", "fields": {"trace": "panic: no\nmain.go:7", "n": 1, "why": "a b"}}]}
]`

// Scripts rely on the names of the members.
func TestWhatIsPrintedAsJSONKeepsItsNames(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := printDocument(&out, decodePlugins(t, somePlugins)); err != nil {
		t.Fatal(err)
	}
	var want, got any
	for text, v := range map[string]*any{somePlugins: &want, out.String(): &got} {
		if err := json.Unmarshal([]byte(text), v); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// atNoon moves the times of the plugins above to the zone of the machine.
func atNoon(list []host.Plugin) []host.Plugin {
	here := func(t *time.Time) {
		*t = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.Local)
	}
	for i := range list {
		here(&list[i].Since)
		for j := range list[i].Instances {
			here(&list[i].Instances[j].Since)
		}
		for j := range list[i].Pins {
			here(&list[i].Pins[j].Accepted)
		}
		for j := range list[i].History {
			here(&list[i].History[j].Time)
		}
		for j := range list[i].LastLines {
			here(&list[i].LastLines[j].Time)
		}
	}
	return list
}

func TestTheTableOfPluginsHasRemarksThatSayWhatToDo(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := printPlugins(&out, atNoon(decodePlugins(t, somePlugins)), noon); err != nil {
		t.Fatal(err)
	}
	want := `FILE          STATE        NAME          VERSION  HASH          INSTANCES  JOBS  PROCESSES
raster        ready        raster-tools  1.4.2    0123456789ab  2          3     ndvi
evil\x1b[31m  refused      -             -        -             0          0     -
weak          quarantined  weak          1        ff            0          0     faint
raster: process slope is not offered: already offered by a
evil\x1b[31m: refused since 2026-11-21 12:00:00 (2d ago): not executable: chmod +x /p/evil
weak: quarantined since 2026-11-23 11:59:30 (30s ago): the plugin ended unexpectedly (exit status 2)
weak: for its last words: geomill plugin logs weak; to start it again: geomill plugin reset weak
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAPluginIsShownWithWhatMattersFirst(t *testing.T) {
	t.Parallel()
	list := atNoon(decodePlugins(t, somePlugins))
	for i, want := range map[int]string{
		0: `plugin    raster
state     ready since 2026-11-23 11:00:00 (60m ago)
why       process slope is not offered: already offered by a
name      raster-tools
version   1.4.2
sha256    0123456789abcdef
path      /p/raster
leads to  /opt/raster
crashes   1

PROCESS  VERSION  ISOLATION  SLOTS  TIMEOUT  OFFERED
ndvi     1.0.0    shared     4      1m30s    yes
slope    1.0.0    -          -      -        no: already offered by a

PID  STATE     SINCE                          JOBS  MEMORY  CPU
41   ready     2026-11-23 11:00:00 (60m ago)  2     20 MB   1.25s
42   draining  2026-11-23 11:59:00 (60s ago)  1     0 B     0s
`,
		2: `plugin    weak
state     quarantined since 2026-11-23 11:59:30 (30s ago)
why       the plugin ended unexpectedly (exit status 2)
next      for its last words: geomill plugin logs weak; to start it again: geomill plugin reset weak
name      weak
version   1
sha256    ff
path      /p/weak
has       1, 0.9
before    weak 0.9 (SHA-256 ee); to go back to it: geomill plugin rollback weak
trust     tofu
settings  {"a": 1}
crashes   5
starts    5 ready
ends      5 crash
jobs      7

PROCESS  VERSION  ISOLATION  SLOTS  TIMEOUT  OFFERED
faint    1        -          -      -        yes

ACCEPTED                      SHA-256  HOW        IS
2026-11-23 10:00:00 (2h ago)  ff       first-use  weak 1

TIME                 INSTANCE  PID  FROM   TO       WHY
2026-11-23 11:59:30  3         77   ready  crashed  it exited

It wrote last:
2026-11-23 11:59:30  error  plugin#3   panic: no  n=1  why="a b"
    panic: no
    main.go:7
`,
	} {
		var out bytes.Buffer
		if err := printPlugin(&out, list[i], noon); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", list[i].File, diff)
		}
	}
}

func TestHowLongAgoIsSaidInOneUnit(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Hour: "now", 999 * time.Millisecond: "now", time.Second: "1s ago", 119 * time.Second: "119s ago", 2 * time.Minute: "2m ago",
		119 * time.Minute: "119m ago", 2 * time.Hour: "2h ago", 47 * time.Hour: "47h ago", 48 * time.Hour: "2d ago",
	} {
		if got := ago(d); got != want {
			t.Errorf("%s: got %s, want %s", d, got, want)
		}
	}
}

// Whoever names a file must not decide what an operator pastes.
func TestACommandThatIsAdvisedIsSafeToPaste(t *testing.T) {
	t.Parallel()
	if got := advice(host.Plugin{File: "a; rm -rf b", State: "crashed"}); !strings.HasSuffix(got, "geomill plugin logs 'a; rm -rf b'") {
		t.Errorf("got %s", got)
	}
}

func TestTheResultOfACheckIsAWord(t *testing.T) {
	t.Parallel()
	for c, want := range map[*host.Check]string{
		{OK: true, Found: "a", Serving: "a"}: "ok",
		{OK: true, Found: "a"}:               "ok",
		{Found: "b", Serving: "a"}:           "differs",
		{Found: "b", Accept: "do"}:           "differs",
		{Found: "b"}:                         "refused",
		{Found: "a", Serving: "a"}:           "untrusted",
		{Serving: "a"}:                       "unusable",
		{}:                                   "unusable",
	} {
		if got := resultOf(*c); got != want {
			t.Errorf("%+v: %s, want %s", *c, got, want)
		}
	}
}
