package job

// Priority is how soon a waiting job starts, against those of other priorities.
// None of them waits for ever: see Weight.
type Priority string

// The priorities. The zero value is Normal too.
const (
	High   Priority = "high"
	Normal Priority = "normal"
	Low    Priority = "low"
)

// Priorities are all of them, highest first.
func Priorities() []Priority { return []Priority{High, Normal, Low} }

// Valid reports whether p is one of Priorities.
func (p Priority) Valid() bool { return p == High || p == Normal || p == Low }

// Weight is the share of a priority in the starts while jobs of all priorities
// wait: of 21 starts 16 are high, 4 normal and 1 low.
func (p Priority) Weight() int {
	switch p {
	case High:
		return 16
	case Low:
		return 1
	}
	return 4
}
