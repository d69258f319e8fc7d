package plugin

import (
	"context"
	"log/slog"
	"sync"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin/cgroup"
)

// groups gives control groups to instances that have limits of what these bound,
// where the host has any to give. It is safe for concurrent use.
type groups struct {
	log  *slog.Logger
	once sync.Once
	tree *cgroup.Tree // nil: there are none
}

// make returns a group, or nil.
func (g *groups) make(l Limits) *cgroup.Group {
	if !l.watched() {
		return nil
	}
	g.once.Do(g.open)
	if g.tree == nil {
		return nil
	}
	group, err := g.tree.New(cgroup.Limits{Memory: l.Memory, Tasks: l.Processes * tasksPerProcess})
	if err != nil {
		g.log.Warn("plugin instance has no control group; its use is only looked at", "error", err)
		return nil
	}
	return group
}

func (g *groups) open() {
	path, err := cgroup.Find()
	if err == nil {
		g.tree, err = cgroup.Open(path)
	}
	if err != nil {
		g.tree = nil
		g.log.Warn("control groups do not hold plugins to their limits; their use is only looked at", "reason", err)
		return
	}
	g.log.Info("control groups hold plugins to their limits", "group", path)
}

// execGrouped starts the command in a control group of its own, if there is one.
func (c *child) execGrouped(ctx context.Context) error {
	if c.group = c.groups.make(c.limits); c.group == nil {
		return c.exec(ctx)
	}
	c.cmd.SysProcAttr.UseCgroupFD, c.cmd.SysProcAttr.CgroupFD = true, c.group.FD()
	err := c.exec(ctx)
	if err == nil {
		return nil
	}
	c.closeGroup()
	c.group, c.cmd.SysProcAttr.UseCgroupFD = nil, false
	again := c.exec(ctx)
	if again == nil {
		c.console.log.Warn("plugin instance starts in no control group; its use is only looked at", "error", err)
	}
	return again
}

// emptyGroup ends what is left in the group of a process that has ended, and notes
// whether the kernel ended it for its limit of memory.
func (c *child) emptyGroup() {
	if c.group == nil {
		return
	}
	if c.group.OutOfMemory() {
		c.excess.CompareAndSwap(nil, &excess{job.Exceeded(job.LimitMemory, float64(c.limits.Memory))})
	}
	if err := c.group.Kill(); err != nil {
		c.console.log.Debug("empty control group", "error", err) // its processes are found by their marks
	}
}

// closeGroup removes the group.
func (c *child) closeGroup() {
	if c.group == nil {
		return
	}
	if err := c.group.Close(); err != nil {
		c.console.log.Warn("control group of a plugin instance stays behind", "error", err)
	}
}
