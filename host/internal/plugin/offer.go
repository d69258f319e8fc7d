package plugin

import (
	"context"
	"fmt"
	"time"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
	"geomill/sdk/wire"
)

// offer is one process of one plugin version, and how its jobs get an instance.
type offer struct {
	process *job.Process
	sup     *supervisor
	slots   chan struct{} // nil: no limit of its own
}

func newOffer(p *job.Process, s *supervisor) *offer {
	o := &offer{process: p, sup: s}
	if n := p.Policy.MaxConcurrency; n > 0 {
		o.slots = make(chan struct{}, n)
	}
	return o
}

// borrow returns an instance with a place for one job; giveBack must follow.
func (o *offer) borrow(ctx context.Context) (*instance, error) {
	if o.slots != nil {
		if err := take(ctx, o.slots, o.sup.cfg.SlotWait, "it"); err != nil {
			return nil, err
		}
	}
	in, err := o.instance(ctx)
	if err != nil && o.slots != nil {
		<-o.slots
	}
	return in, err
}

func (o *offer) instance(ctx context.Context) (*instance, error) {
	if o.process.Policy.Isolation != job.Shared {
		return o.sup.acquireOwn(ctx, o.process.Policy.Isolation)
	}
	if err := take(ctx, o.sup.places, o.sup.cfg.SlotWait, "its plugin"); err != nil {
		return nil, err
	}
	in, err := o.sup.acquireShared(ctx)
	if err != nil {
		<-o.sup.places
	}
	return in, err
}

// take waits for a place among slots, at most as long as patience. who says
// for clients whose slots they are.
func take(ctx context.Context, slots chan<- struct{}, patience time.Duration, who string) error {
	select {
	case slots <- struct{}{}:
		return nil
	default:
	}
	wait := time.NewTimer(patience)
	defer wait.Stop()
	select {
	case slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-wait.C:
		return &job.UnavailableError{
			Reason: fmt.Sprintf("%s already runs %d jobs, as many as it may at once", who, cap(slots)), RetryAfter: time.Second}
	}
}

func (o *offer) giveBack(in *instance) {
	if i := o.process.Policy.Isolation; i == job.Shared {
		o.sup.giveBackShared(in)
		<-o.sup.places
	} else {
		o.sup.giveBack(in, i)
	}
	if o.slots != nil {
		<-o.slots
	}
}

// policyOf checks what an author asks for.
func policyOf(w wire.Policy) (job.Policy, error) {
	p := job.Policy{
		Isolation:      job.Isolation(w.Isolation),
		MaxConcurrency: w.MaxConcurrency,
		Timeout:        w.Timeout,
		RetryAttempts:  w.RetryAttempts,
		RetryBackoff:   w.RetryBackoff,
		Deterministic:  w.Deterministic,
		Detached:       w.Detached,
	}
	for _, c := range w.RetryOn {
		p.RetryOn = append(p.RetryOn, job.FailureKind(c))
	}
	switch w.Isolation {
	case "":
		p.Isolation = job.Shared
	case wire.Shared, wire.Exclusive, wire.PerJob:
	default:
		return p, fmt.Errorf("unknown isolation %q", w.Isolation)
	}
	if p.MaxConcurrency < 0 || p.Timeout < 0 || p.RetryAttempts < 0 || p.RetryBackoff < 0 {
		return p, fmt.Errorf("negative number in its policy")
	}
	return p, nil
}

// decision is what an operator makes of a wish; see Config.Policy.
type decision = func(processID string, wish job.Policy) job.Policy

// decider returns the decision of the operator about the processes of a plugin,
// with the limit that a process has anyhow where its jobs do not share an
// instance.
func (c *Config) decider(o Options) decision {
	return func(id string, p job.Policy) job.Policy {
		if o.Isolation != "" {
			p.Isolation = o.Isolation
		}
		p.Limits = o.Limits.Limits
		if c.Policy != nil {
			p = c.Policy(id, p)
		}
		if p.MaxConcurrency == 0 && p.Isolation != job.Shared {
			p.MaxConcurrency = c.MaxInstances
		}
		return p
	}
}

// processesOf makes the processes of a plugin ready. What is wrong with one
// takes no other down: refused says why, by process id.
func processesOf(d description, hash string, decide decision) (list []*job.Process, refused []ProcessStatus) {
	from := job.Plugin{Name: d.Info.Name, Version: d.Info.Version, Hash: hash}
	seen := map[string]bool{}
	for _, w := range d.Processes {
		p, err := processOf(w.Description, w.Policy, decide, from)
		if err == nil && seen[p.ID] {
			err = fmt.Errorf("process %s is listed twice", p.ID)
		}
		if err != nil {
			refused = append(refused, ProcessStatus{ID: w.Description.ID, Version: w.Description.Version, Reason: err.Error()})
			continue
		}
		seen[p.ID] = true
		list = append(list, p)
	}
	return list, refused
}

func processOf(d ogc.Process, w wire.Policy, decide decision, from job.Plugin) (*job.Process, error) {
	policy, err := policyOf(w)
	if err != nil {
		return nil, fmt.Errorf("process %s: %w", d.ID, err)
	}
	policy = decide(d.ID, policy)
	return job.NewProcess(d, policy, from)
}
