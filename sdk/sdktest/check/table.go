package check

// Table returns the checks in the order in which they are tried.
func Table() []Check {
	var all []Check
	for _, part := range [][]Check{byHandChecks, startChecks, jobChecks, busyChecks, endChecks, limitChecks, lastChecks} {
		all = append(all, part...)
	}
	return all
}
