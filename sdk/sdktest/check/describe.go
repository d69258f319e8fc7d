package check

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"geomill/proto/processv1"
	"geomill/sdk/schema"

	"google.golang.org/protobuf/proto"
)

var (
	namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)
	idPattern   = regexp.MustCompile(`^[A-Za-z0-9_~:-][A-Za-z0-9._~:-]{0,199}$`)
	semver      = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)
)

func checkInfo(p *probe) verdict {
	if v := step(stepInfo)(p); v.outcome != Pass {
		return v
	}
	i := p.info
	switch {
	case !namePattern.MatchString(i.GetName()):
		return failed("the name is %q, not of the form %s", i.GetName(), namePattern)
	case !semver.MatchString(i.GetVersion()):
		return failed("the version is %q, not of the form 1.2.3", i.GetVersion())
	case i.GetSdk() == "":
		return failed("sdk is empty")
	case i.GetInstanceId() == "":
		return failed("instance_id is empty")
	}
	return passed("%s %s, made with %s", i.GetName(), i.GetVersion(), i.GetSdk())
}

// maxSettingsSchema is the largest schema of settings, in bytes.
const maxSettingsSchema = 1 << 20

func checkSettingsSchema(p *probe) verdict {
	text := p.info.GetSettingsSchemaJson()
	if p.info == nil {
		return skipped("%v", errNoStart)
	}
	if len(text) == 0 {
		return passed("it takes no settings")
	}
	if len(text) > maxSettingsSchema {
		return failed("it has %d bytes; %d are allowed", len(text), maxSettingsSchema)
	}
	s, err := schema.Compile(text)
	if err != nil {
		return failed("%v", err)
	}
	for _, other := range []any{"text", []any{}, true} {
		if len(s.Validate(other)) == 0 {
			return failed("it is not the schema of an object: it accepts %v", other)
		}
	}
	if err := Defaults(text); err != nil {
		return failed("%v", err)
	}
	return passed("")
}

func checkProcesses(p *probe) verdict {
	if v := step(stepProcesses)(p); v.outcome != Pass {
		return v
	}
	if len(p.processes) == 0 {
		return failed("it lists no process")
	}
	ids := make(map[string]bool)
	twin := ""
	p.processes = slices.DeleteFunc(p.processes, func(proc *process) bool {
		id := proc.id()
		if ids[id] {
			twin = id
		}
		defer func() { ids[id] = true }()
		return ids[id]
	})
	switch {
	case twin != "":
		return failed("two processes have the id %q", twin)
	case ids[""]:
		return failed("a process has no id")
	}
	return passed("%s", names(ids))
}

func checkDescriptions(p *probe) verdict {
	if len(p.processes) == 0 {
		return skipped("there is no process")
	}
	for _, proc := range p.processes {
		if err := p.acceptable(proc); err != nil {
			if proc.err == nil {
				proc.err = err
			}
			return failed("process %s: %v", proc.id(), err)
		}
	}
	return passed("%s", count(len(p.processes), "description"))
}

// acceptable applies the rules for descriptions, those of a host included.
func (p *probe) acceptable(proc *process) error {
	d := proc.description
	switch {
	case proc.err != nil:
		return proc.err
	case !idPattern.MatchString(d.ID):
		return fmt.Errorf("the id is not of the form %s", idPattern)
	case d.Version == "":
		return fmt.Errorf("it has no version")
	case len(d.Links) > 0:
		return fmt.Errorf("it has links; they are the host's")
	}
	if p.Accepts != nil {
		return p.Accepts(d)
	}
	return nil
}

func checkProcessesStable(p *probe) verdict {
	if len(p.processes) == 0 {
		return skipped("there is no process")
	}
	in, err := p.use(p.frugal())
	if err != nil {
		return unusable(err)
	}
	for range 2 {
		ctx, cancel := p.patient(p.Times.Call)
		again, err := processv1.NewProcessServiceClient(in.conn).ListProcesses(ctx, &processv1.ListProcessesRequest{})
		cancel()
		if err != nil {
			return failed("ListProcesses: %s", plain(err))
		}
		if !proto.Equal(p.listed, again) {
			return failed("asked again, it answers otherwise: %s", difference(p.listed, again))
		}
	}
	return passed("")
}

func difference(a, b *processv1.ListProcessesResponse) string {
	if len(a.GetProcesses()) != len(b.GetProcesses()) {
		return fmt.Sprintf("%d processes, then %d", len(a.GetProcesses()), len(b.GetProcesses()))
	}
	for i, one := range a.GetProcesses() {
		x, y := string(one.GetDescriptionJson()), string(b.GetProcesses()[i].GetDescriptionJson())
		if x != y {
			at := 0
			for at < min(len(x), len(y)) && x[at] == y[at] {
				at++
			}
			from := max(0, at-20)
			return fmt.Sprintf("process %d has %.60q, then %.60q", i+1, x[from:], y[min(from, len(y)):])
		}
	}
	return "another policy"
}

func checkInstanceID(p *probe) verdict {
	in, err := p.use(p.frugal())
	if err != nil {
		return unusable(err)
	}
	ctx, cancel := p.patient(p.Times.Call)
	defer cancel()
	info, err := control(in).GetInfo(ctx, &processv1.GetInfoRequest{})
	switch {
	case err != nil:
		return failed("GetInfo: %s", plain(err))
	case info.GetInstanceId() == p.info.GetInstanceId() && info.GetInstanceId() != "":
		return failed("two processes have the instance id %q", info.GetInstanceId())
	case info.GetName() != p.info.GetName() || info.GetVersion() != p.info.GetVersion():
		return failed("one instance is %s %s, another %s %s", p.info.GetName(), p.info.GetVersion(), info.GetName(), info.GetVersion())
	}
	return passed("")
}

func checkVersions(p *probe) verdict {
	if p.first != nil {
		return skipped("%v", errNoStart)
	}
	offered := p.frugal()
	if _, err := p.use(offered); err != nil {
		p.oneVersion = true
		return failed("offered the versions %s: %v", offered.versions, err)
	}
	return passed("of %s it took 1", offered.versions)
}

func checkNoCommonVersion(p *probe) verdict {
	if p.first != nil {
		return skipped("%v", errNoStart)
	}
	p.retire()
	in, err := p.launch(limits{versions: "99"})
	if err != nil {
		return failed("%v", err)
	}
	defer in.kill()
	ctx, cancel := p.patient(p.Times.Handshake)
	defer cancel()
	select {
	case line := <-in.first:
		if f := strings.Split(line, "|"); len(f) < 5 || f[0] != "1" || f[1] == "99" {
			return failed("offered only version 99, it began with %.120q%s", line, in.lastWords())
		}
		return passed("offered only version 99, it said its own")
	case <-ctx.Done():
		return failed("offered only version 99, it wrote no line within %s", p.within(p.Times.Handshake))
	}
}
