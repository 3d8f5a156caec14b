package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
)

// profiles are the Waybills that a person uses, in a file that nobody else may read.
type profiles struct {
	// Current is the one that counts where none is named; "": there is none.
	Current  string              `json:"current"`
	Profiles map[string]*profile `json:"profiles"`
}

// profile is a Waybill and a key for it.
type profile struct {
	URL string `json:"url"`
	Key string `json:"key"`
}

// maxProfiles and profileName bound what the file can hold.
const maxProfiles = 100

var profileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// profilesFile is where profiles are kept.
func (e Env) profilesFile() (string, error) {
	for _, base := range []string{e.variable("XDG_CONFIG_HOME"), inHome(e.variable("HOME")), e.variable("AppData")} {
		if filepath.IsAbs(base) {
			return filepath.Join(base, "waybill", "profiles.json"), nil
		}
	}
	return "", Usagef("there is no folder for profiles: neither XDG_CONFIG_HOME nor HOME is set")
}

func inHome(home string) string {
	if home == "" {
		return ""
	}
	return filepath.Join(home, ".config")
}

// profile returns the named profile, or the current one where name is "". It is nil where there is none.
func (e Env) profile(name string) (*profile, error) {
	all, err := e.readProfiles()
	if err != nil {
		var usage *UsageError
		if name == "" && errors.As(err, &usage) && e.hasNoHome() {
			return nil, nil
		}
		return nil, err
	}
	if name == "" {
		return all.Profiles[all.Current], nil
	}
	p := all.Profiles[name]
	if p == nil {
		return nil, Usagef("there is no profile %q: waybill profiles list", name)
	}
	return p, nil
}

func (e Env) hasNoHome() bool {
	_, err := e.profilesFile()
	return err != nil
}

// readProfiles reads the file. It refuses one that others may read, because it holds keys.
func (e Env) readProfiles() (*profiles, error) {
	all := &profiles{Profiles: map[string]*profile{}}
	path, err := e.profilesFile()
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, &UsageError{fmt.Errorf("the profiles: %w", err)}
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, Usagef("others may read the keys in %s: chmod 600 %s", path, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, &UsageError{fmt.Errorf("the profiles: %w", err)}
	}
	err = json.Unmarshal(text, all)
	for _, p := range all.Profiles {
		if p == nil && err == nil {
			err = errors.New("a profile is null")
		}
	}
	if err != nil || all.Profiles == nil {
		return nil, Usagef("the profiles in %s cannot be read: mend or remove the file", path)
	}
	return all, nil
}

// writeProfiles writes the file anew, in one step.
func (e Env) writeProfiles(all *profiles) error {
	path, err := e.profilesFile()
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("the profiles: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "profiles-*") // its mode is 0600
	if err != nil {
		return fmt.Errorf("the profiles: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(text, '\n'))
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("the profiles: %w", err)
	}
	return os.Rename(f.Name(), path)
}
