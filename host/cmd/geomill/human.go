package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// humanSize writes a size for people.
func humanSize(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	size := float64(n)
	for _, unit := range []string{"kB", "MB", "GB", "TB"} {
		if size /= 1000; size < 999.5 || unit == "TB" {
			return strconv.FormatFloat(size, 'f', decimals(size), 64) + " " + unit
		}
	}
	return ""
}

func decimals(size float64) int {
	if size < 9.95 {
		return 1
	}
	return 0
}

// count writes a number of things, whose name takes an s.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// local writes a time for people, in their zone.
func local(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// plain makes text from elsewhere harmless on a terminal: control characters, and
// those that turn the direction of writing, become visible.
func plain(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r == '\t' || !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co) {
			b.WriteRune(r)
			continue
		}
		b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
	}
	return b.String()
}

// cell is plain text for a table, whose columns a tab would move.
func cell(s string) string {
	if s == "" {
		return "-"
	}
	return strings.ReplaceAll(plain(s), "\t", " ")
}

// age reads a duration; besides the units of Go there are days and weeks.
func age(s string) (time.Duration, error) {
	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		number, ok := strings.CutSuffix(s, unit)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(number, 64)
		if d := time.Duration(n * float64(length)); err == nil && n >= 0 && n < 36500 {
			return d, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no duration such as 12h, 30d or 2w", s)
	}
	return d, nil
}
