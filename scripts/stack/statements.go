package stack

import "path/filepath"

// countingStatements are the arguments that have Postgres count statements.
func (s *Stack) countingStatements(pg pgInstall) []string {
	if !s.CountStatements {
		return nil
	}
	const module = "pg_stat_statements"
	for _, lib := range []string{"../lib", "../lib/postgresql"} { // of the packages of Debian and Red Hat, and of Homebrew
		if found, _ := filepath.Glob(filepath.Join(pg.dir, lib, module+".*")); len(found) > 0 { // fails on a malformed pattern only
			return []string{"-c", "shared_preload_libraries=" + module}
		}
	}
	return nil
}
