package job

import "time"

// timeLimit returns how long an attempt may take, counted from its start, that
// of its plugin included. A request may shorten the time that its process has,
// and lengthen it as far as the operator lets it.
func (s *Service) timeLimit(p Policy, asked time.Duration) time.Duration {
	own, most := s.Timeout, s.MaxTimeout
	if p.Timeout > 0 {
		own = p.Timeout
	}
	if p.MaxTimeout > 0 {
		most = p.MaxTimeout
	}
	if asked <= 0 {
		return own
	}
	return min(asked, max(own, most))
}
