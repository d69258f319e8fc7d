package plugin

import (
	"cmp"
	"maps"
	"slices"

	"geomill/host/internal/job"
)

// routes is what is offered now. It is never changed, only replaced.
type routes struct {
	byID map[string]*offer
	list []*job.Process // sorted by id

	replaced chan struct{} // closed once others are offered
}

// route offers the processes of versions, by file name. Of two that declare
// the same process the first by file name has it; the other gets to know.
func route(serving map[string]*version) *routes {
	r := &routes{byID: map[string]*offer{}, replaced: make(chan struct{})}
	owner := map[string]string{}
	for _, file := range slices.Sorted(maps.Keys(serving)) {
		v := serving[file]
		v.clashes = map[string]string{}
		for _, o := range v.offers {
			id := o.process.ID
			if r.byID[id] != nil {
				v.clashes[id] = owner[id]
				continue
			}
			r.byID[id], owner[id] = o, file
			r.list = append(r.list, o.process)
		}
	}
	slices.SortFunc(r.list, func(a, b *job.Process) int { return cmp.Compare(a.ID, b.ID) })
	return r
}

// alreadyOffered says of a process which file has it, and what to do.
func alreadyOffered(owner string) string {
	return "already offered by " + owner + ", the first by name: remove one of the two files, or rename them for the other to be first"
}

// Process returns a process by id. It is job.Catalog. With an
// *job.UnavailableError the process is returned too.
func (h *Host) Process(id string) (*job.Process, error) {
	o := h.routes.Load().byID[id]
	if o == nil {
		return nil, job.ErrNoSuchProcess
	}
	if err := o.sup.unavailable(o.process.Policy.Isolation); err != nil {
		err.ProcessID = id
		return o.process, err
	}
	return o.process, nil
}

// Processes returns all processes, sorted by id. It is job.Catalog.
func (h *Host) Processes() []*job.Process { return h.routes.Load().list }
