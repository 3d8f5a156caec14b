package store

// Resealed is what a run that seals everything with the first encryption key has done.
type Resealed struct {
	// Resealed is how many values were sealed anew.
	Resealed int
	// Failed is how many could not be opened, and stay as they are: their key is not configured, or they were moved or damaged.
	Failed int
	// Left is how many are still sealed with an old key: somebody has locked their rows, or a process still seals with that key.
	Left int
}
