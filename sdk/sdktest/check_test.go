package sdktest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"geomill/sdk/sdktest"
	"geomill/sdk/sdktest/check"
)

func TestCheckFailsTheTestOfAPluginThatBreaksTheContract(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sound, faulty := filepath.Join(dir, "sound"), filepath.Join(dir, "no-such-process")
	if out, err := exec.Command("go", "build", "-o", sound, "./check/testdata/broken").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Link(sound, faulty); err != nil {
		t.Fatal(err)
	}
	patient := func(c *check.Config) { c.Slack, c.Timeout = 4, 5*time.Minute }
	sdktest.Check(t, sound, patient)
	r := &recorder{TB: t}
	sdktest.Check(r, faulty, patient)
	if len(r.errors) != 1 || !strings.Contains(r.errors[0], "no-such-process\nwants: ") {
		t.Errorf("errors %q", r.errors)
	}
}
