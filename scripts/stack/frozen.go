package stack

import "path/filepath"

// Floor202611 are the settings of November 2026: those of the Temporal server, of its databases' indexes and of Postgres. The benchmark's
// floor runs on them, so that what makes the shipped settings better shows. Never change its files.
const Floor202611 = "2026-11"

// frozenFile returns a file of the settings that take the place of the shipped ones.
func (s *Stack) frozenFile(name string) string {
	return filepath.Join(s.Root, "scripts", "stack", "frozen", s.Frozen, name)
}

// frozenCollection is what serverCollection was when the settings were frozen.
func frozenCollection() []string { return []string{"GOGC=off", "GOMEMLIMIT=1500MiB"} }

// postgresConfig returns the file of Postgres' settings.
func (s *Stack) postgresConfig() string {
	if s.Frozen != "" {
		return s.frozenFile("postgres.conf")
	}
	return filepath.Join(s.Root, "scripts", "stack", "postgres.conf")
}
