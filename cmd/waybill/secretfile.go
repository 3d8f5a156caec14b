package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// fileSuffix makes the name of the variable that says which file holds a secret: WAYBILL_API_KEY_FILE.
const fileSuffix = "_FILE"

// maxSecretBytes bounds the file of a secret. The largest is a long list of encryption keys.
const maxSecretBytes = 64 << 10

// secretVariables are the settings whose values nobody else may see. They are no flags, because every user of a machine can
// read the command lines of its processes, and each can be read from a file.
func secretVariables() []string {
	var names []string
	for _, s := range allSettings() {
		if s.Secret {
			names = append(names, s.Variable)
		}
	}
	return names
}

// readSecretFiles sets each secret whose variable names a file. It reports every file that does not do, never what is in it.
func readSecretFiles(variables map[string]string) error {
	var errs []error
	for _, name := range secretVariables() {
		path := variables[name+fileSuffix]
		switch {
		case path == "":
		case variables[name] != "":
			errs = append(errs, fmt.Errorf("%s and %s%s are both set: choose one", name, name, fileSuffix))
		default:
			value, err := readSecretFile(path)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s%s: %w", name, fileSuffix, err))
			}
			variables[name] = value
		}
	}
	return errors.Join(errs...)
}

// readSecretFile returns the file's content without the line break that editors and echo put at its end.
func readSecretFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxSecretBytes+1))
	if err != nil {
		return "", err
	}
	value := strings.TrimRight(string(raw), "\r\n")
	switch {
	case len(raw) > maxSecretBytes:
		return "", fmt.Errorf("the file %s is longer than the %d bytes of a secret", path, maxSecretBytes)
	case value == "":
		return "", fmt.Errorf("the file %s is empty", path)
	case strings.ContainsAny(value, "\r\n\x00"):
		return "", fmt.Errorf("the file %s holds more than one line", path)
	default:
		return value, nil
	}
}

// fileVariables are the variables that may name a secret's file, each a flag too.
func fileVariables() []string {
	names := secretVariables()
	for i := range names {
		names[i] += fileSuffix
	}
	return names
}
