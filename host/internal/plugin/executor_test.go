package plugin

import (
	"errors"
	"testing"

	"geomill/host/internal/job"
	"geomill/sdk/wire"
)

func TestAStatusOfAProcessDoesNotStandOverAKindOfTheHosts(t *testing.T) {
	t.Parallel()
	limits := Limits{Files: 64}
	for name, c := range map[string]struct {
		said wire.Problem
		kind job.FailureKind
		want int
		code string
	}{
		"a failure":                      {wire.Problem{Status: 503, Code: "c"}, job.ProcessFailed, 503, "c"},
		"a fault of the client":          {wire.Problem{Status: 404, Code: "c"}, job.ProcessFailed, 404, "c"},
		"a failure for a limit":          {wire.Problem{Status: 418, Code: "c", Detail: "open x: too many open files"}, job.LimitExceeded, 0, ""},
		"an input":                       {wire.Problem{Kind: wire.InvalidInput, Code: "c"}, job.InputRefused, 0, "c"},
		"an input, as it says":           {wire.Problem{Kind: wire.InvalidInput, Status: 422, Code: "c"}, job.InputRefused, 422, "c"},
		"an input, as the server's":      {wire.Problem{Kind: wire.InvalidInput, Status: 503, Code: "c"}, job.InputRefused, 0, "c"},
		"a process that is not known":    {wire.Problem{Kind: wire.NoSuchProcess, Status: 404, Code: "c"}, job.ContractBroken, 0, ""},
		"a panic, with a status besides": {wire.Problem{Kind: wire.Panicked, Status: 404, Code: "c"}, job.ProcessFailed, 0, ""},
	} {
		f, ok := errors.AsType[*job.Failure](problemFailure("p", &c.said, limits))
		if !ok || f.Kind != c.kind || f.Status != c.want || f.Code != c.code {
			t.Errorf("%s: %+v", name, f)
		}
	}
}
