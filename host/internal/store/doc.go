// Package store keeps jobs on disk: it implements job.Store and job.Outbox on
// Badger, with large outputs as files beside the database, job.Logs as files, and
// job.Queue in memory (what makes the queue durable is the record of each
// accepted job). It imports package job and nothing else of the host; no other
// package imports Badger. Its central type is Store.
//
// Layout of the directory (version 1):
//
//	db/                            the Badger database
//	results/<id>/<attempt>-<x>/<n> outputs that are files
//	pending/<id>[+<attempt>-<x>]   names a part of results/ that a crash at this
//	                               moment would orphan; settled by Open
//	held/<id>+[<attempt>-<x>]      names a part of results/ that is removed when
//	                               the open snapshot is closed, or by Open
//	logs/<xy>/<id>                 the log of a job, whose id ends in xy: the lines of
//	                               job.Logs; a crash may cut the last
//
// Keys of the database. An id is the 16 bytes of the job's UUID; ~id is its
// complement, so that ascending keys are newest first:
//
//	m v                            version of the layout
//	m r                            revision of the last write
//	m k                            largest distance of a Created from its id's time
//	m u                            version of what is kept under u and f
//	j ~id                          record: revision, JSON of job.Job
//	o ~id                          order: JSON of job.Order, never rewritten
//	v ~id name                     output: header, then the value or a path
//	a ~id                          the job is active: accepted or running
//	s status ~id                   finished jobs by status
//	p process 00 ~id               all jobs by process
//	b process 00 status ~id        finished jobs by process and status
//	e digest 00 hash 00 ~id        successful jobs whose results may be reused
//	f process 00 status rev ~id    finished jobs by the revision of their last write
//	d ~id                          tombstone of a deleted job; expires
//	c ~id event                    callback: JSON of job.Delivery
//	q host 00 due ~id event        the callback is pending
//	u process 00 status            number and bytes of finished jobs by process and
//	                               status, and with status a of the active ones
//
// Numbers are big-endian. Active jobs have no entry under s and b: those would be
// written and deleted once per job, and lists of active jobs would wade through
// what Badger leaves of deleted keys. They are listed from memory instead.
package store
