package job

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Moved takes note that a newer version of the process runs the attempt than the
// one it was begun for. It fails when that does not take the job's inputs.
func (u *running) Moved(p *Process) error {
	if err := p.takes(&u.order); err != nil {
		return err
	}
	u.moved.Store(p)
	return nil
}

// ranBy returns the process that runs the attempt.
func (u *running) ranBy(p *Process) *Process {
	if moved := u.moved.Load(); moved != nil {
		return moved
	}
	return p
}

// takes checks an order, which another version of the process has accepted,
// against this one, and fills in the defaults of inputs that are new. What is in
// files, or not JSON, is left to the process itself to judge. It fails with a
// *Failure.
func (p *Process) takes(o *Order) error {
	in := &intake{process: p}
	var lost []string // outputs
	for _, id := range slices.Sorted(maps.Keys(o.Inputs)) {
		if _, ok := p.Inputs[id]; !ok {
			in.fault(id, "", "the process has no such input any more")
		}
	}
	for _, id := range p.order {
		v, given := o.Inputs[id]
		switch check := p.inputs[id]; {
		case given && v.JSON != nil && v.MediaType == "":
			in.stillTakes(id, v.JSON, check)
		case given:
		case check.fallback != nil:
			if o.Inputs == nil {
				o.Inputs = map[string]Value{}
			}
			o.Inputs[id] = *check.fallback
		case p.Inputs[id].Min() > 0:
			in.fault(id, "", "is required now")
		}
	}
	for id := range o.Outputs {
		if _, ok := p.Outputs[id]; !ok {
			lost = append(lost, id)
		}
	}
	if len(in.faults) == 0 && len(lost) == 0 {
		return nil
	}
	slices.Sort(lost)
	detail := fmt.Sprintf("the process was replaced by version %s before the job began, which does not take the request", p.Version)
	if len(lost) > 0 {
		detail += ": it has no output " + strings.Join(lost, ", ") + " any more"
	}
	return &Failure{Kind: InputRefused, Detail: detail, Faults: in.faults}
}

// stillTakes checks one input, whose pointers begin at its value.
func (in *intake) stillTakes(id string, text []byte, check inputCheck) {
	fit := func(pointer string, text []byte) {
		chosen, _ := check.choose(text, "")
		_, faults := chosen.fit(text)
		in.addFaults(id, pointer, faults)
	}
	text = bytes.TrimSpace(text)
	if !in.process.isArray(id) {
		fit("", text)
		return
	}
	items, _, err := itemsOf(text)
	if err != nil {
		in.fault(id, "", "is not valid JSON")
		return
	}
	if d := in.process.Inputs[id]; len(items) < d.Min() || !d.Max().Allows(len(items)) {
		in.fault(id, "", fmt.Sprintf("has %d values; %d to %s are allowed now", len(items), d.Min(), d.Max()))
	}
	for i, item := range items {
		fit(fmt.Sprintf("/%d", i), item)
	}
}
