package job

import (
	"testing"

	"geomill/sdk/ogc"

	"github.com/google/go-cmp/cmp"
)

func TestWhatWasExceededIsNamed(t *testing.T) {
	t.Parallel()
	for _, want := range []struct {
		name    LimitName
		maximum float64
		uri     string
		detail  string
	}{
		{LimitMemory, 512 << 20, TypeOutOfMemory, "the plugin used more memory than its limit of 512 MiB"},
		{LimitCPU, 90, TypeLimitExceeded, "the process used more processor time than its limit of 1m30s"},
		{LimitFiles, 64, TypeLimitExceeded, "the plugin had more files open than its limit of 64"},
		{LimitProcesses, 10, TypeLimitExceeded, "the plugin ran more processes than its limit of 10"},
		{LimitOutput, 1000, TypeLimitExceeded, "the outputs are larger than their limit of 1000 bytes"},
		{LimitDirectory, 1 << 40, TypeLimitExceeded, "the process wrote more into its directory than its limit of 1 TiB"},
	} {
		e := exceptionOf(Exceeded(want.name, want.maximum))
		got := ogc.Exception{Type: e.Type, Status: e.Status, Detail: e.Detail, Limit: e.Limit, Maximum: e.Maximum}
		if d := cmp.Diff(ogc.Exception{Type: want.uri, Status: 500, Detail: want.detail, Limit: string(want.name), Maximum: want.maximum}, got); d != "" {
			t.Error(d)
		}
	}
}

func TestAJobThatExceedsItsOwnLimitIsNotRunAgain(t *testing.T) {
	t.Parallel()
	j := Job{Attempt: 1, Retries: 3, RetryOn: RetryCauses()}
	alone, among := Exceeded(LimitProcesses, 10), Exceeded(LimitProcesses, 10)
	among.Retryable = true
	if j.again(alone) {
		t.Error("its own limit")
	}
	if !j.again(among) {
		t.Error("that of an instance it shared")
	}
	if j.RetryOn = []FailureKind{ProcessFailed, OutOfMemory}; j.again(among) {
		t.Error("although a crash of its plugin is no cause")
	}
	if !j.again(Exceeded(LimitMemory, 1<<30)) {
		t.Error("memory, which is a cause of its own")
	}
}
