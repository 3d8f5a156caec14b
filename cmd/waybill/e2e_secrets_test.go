package main_test

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// secrets are texts that no log may have.
type secrets struct {
	mu    sync.Mutex
	texts []string
}

// secretForms are how signing secrets and API keys look, known to the test or not.
var secretForms = regexp.MustCompile(`whsec_[A-Za-z0-9+/]{20,}=*|wbk_[A-Za-z0-9_-]{20,}`)

func (s *secrets) add(texts ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range texts {
		if text != "" {
			s.texts = append(s.texts, text)
		}
	}
}

// learn adds what an answer of the API reveals.
func (s *secrets) learn(body []byte) { s.add(secretForms.FindAllString(string(body), -1)...) }

// leaked returns an error when a log has a secret.
func (s *secrets) leaked(log string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range s.texts {
		if at := strings.Index(log, text); at >= 0 {
			return fmt.Errorf("the log shows a secret: %s", lineAt(log, at))
		}
	}
	if at := secretForms.FindStringIndex(log); at != nil {
		return fmt.Errorf("the log shows a secret: %s", lineAt(log, at[0]))
	}
	return nil
}

func lineAt(log string, at int) string {
	from := strings.LastIndexByte(log[:at], '\n') + 1
	line, _, _ := strings.Cut(log[from:], "\n")
	return line
}

func TestSecrets_leaked(t *testing.T) {
	t.Parallel()
	var s secrets
	s.learn([]byte(`{"id":"ep_1","secret":"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}`))
	s.add("open-sesame", "")
	require.NoError(t, s.leaked("one\nsecret=[secret]\n"))
	for _, line := range []string{
		`header="open-sesame"`, "AND whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "a stranger's wbk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
	} {
		require.ErrorContains(t, s.leaked("one\n"+line+"\ntwo\n"), line)
	}
}
