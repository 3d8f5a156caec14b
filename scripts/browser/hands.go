package browser

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// find is the JavaScript that finds what a person means.
//
//go:embed hands.js
var find string

// found is where something is on the page.
type found struct {
	X, Y           float64
	Covered        string
	Kind           string
	Checked, Empty bool
}

// locate waits until something is there, scrolls to it, and tells its middle. What another thing covers nobody can press.
func (t *Tab) locate(ctx context.Context, kind, name string) (*found, error) {
	k, _ := json.Marshal(kind) // strings
	n, _ := json.Marshal(name)
	expression := `(() => {
		const el = (` + find + `)(` + string(k) + `, ` + string(n) + `);
		if (!el) return null;
		el.scrollIntoView({block: "center", inline: "center", behavior: "instant"});
		const r = el.getClientRects()[0], x = r.x + r.width / 2, y = r.y + r.height / 2;
		const top = document.elementFromPoint(x, y);
		const covered = top && (el.contains(top) || top.contains(el) || top.closest("label")?.control === el) ? "" : (top ? top.outerHTML.slice(0, 200) : "what is outside of the window");
		return {x, y, covered, kind: el.localName === "input" ? el.type : el.localName, checked: !!el.checked, empty: el.value === ""};
	})()`
	var at *found
	err := poll(ctx, func() error {
		if err := t.run(ctx, expression, &at); err != nil {
			return err
		}
		if at == nil {
			return errors.New("it is not there, or not to be seen")
		}
		if at.Covered != "" {
			return fmt.Errorf("it is covered by %s", at.Covered)
		}
		return nil
	})
	return at, err
}

// step runs one step of a person within its time.
func (t *Tab) step(what, name string, do func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(t.ctx, stepTimeout)
	defer cancel()
	if err := do(ctx); err != nil {
		return fmt.Errorf("%s %q: %w", what, name, err)
	}
	return nil
}

// Press clicks on the button, link or summary that says name, or else on the first whose words begin so, and waits for the page that it
// leads to. Where a dialog is open, only the dialog counts.
func (t *Tab) Press(name string) error {
	return t.step("press", name, func(ctx context.Context) error { return t.click(ctx, "press", name) })
}

// PressOn clicks on what a CSS selector finds.
func (t *Tab) PressOn(selector string) error {
	return t.step("press", selector, func(ctx context.Context) error { return t.click(ctx, "css", selector) })
}

func (t *Tab) click(ctx context.Context, kind, name string) error {
	at, err := t.locate(ctx, kind, name)
	if err != nil {
		return err
	}
	return t.clickAt(ctx, at)
}

func (t *Tab) clickAt(ctx context.Context, at *found) error {
	for _, kind := range []input.DispatchMouseEventType{input.DispatchMouseEventTypeMousePressed, input.DispatchMouseEventTypeMouseReleased} {
		_, err := chromedp.Call(ctx, input.DispatchMouseEvent, input.DispatchMouseEventParams{
			Type: kind, X: at.X, Y: at.Y, Button: input.MouseButtonLeft, ClickCount: 1,
		})
		if err != nil {
			return err
		}
	}
	// What a click begins, such as sending a form, begins in a task of its own.
	_ = t.run(ctx, "new Promise(done => setTimeout(done, 20))", nil) // it is cut short where another page comes
	return t.settle(ctx)
}

// Fill clears a field and types into it. The field is named by its label.
func (t *Tab) Fill(label, value string) error {
	return t.step("fill", label, func(ctx context.Context) error {
		at, err := t.locate(ctx, "field", label)
		if err != nil {
			return err
		}
		if at.Kind == "select" || strings.HasPrefix(at.Kind, "date") {
			return t.choose(ctx, label, value)
		}
		if err := t.clickAt(ctx, at); err != nil {
			return err
		}
		if err := t.run(ctx, "document.activeElement.select?.()", nil); err != nil {
			return err
		}
		if value == "" {
			_, err := chromedp.Run(ctx, chromedp.KeyEvent(kb.Backspace))
			return err
		}
		_, err = chromedp.Call(ctx, input.InsertText, input.InsertTextParams{Text: value})
		return err
	})
}

// choose sets a field of which a browser draws the choice itself: a list, a date.
func (t *Tab) choose(ctx context.Context, label, value string) error {
	l, _ := json.Marshal(label) // strings
	v, _ := json.Marshal(value)
	var chosen bool
	err := t.run(ctx, `(() => {
		const el = (`+find+`)("field", `+string(l)+`), v = `+string(v)+`;
		if (el.localName === "select") {
			const option = [...el.options].find((o) => o.value === v || o.text.trim() === v);
			if (!option) return false;
			el.value = option.value;
		} else el.value = v;
		el.dispatchEvent(new Event("input", {bubbles: true}));
		el.dispatchEvent(new Event("change", {bubbles: true}));
		return true;
	})()`, &chosen)
	if err == nil && !chosen {
		err = fmt.Errorf("there is no choice %q", value)
	}
	return err
}

// Tick ticks a check box or chooses one of several, by its label.
func (t *Tab) Tick(label string) error {
	return t.step("tick", label, func(ctx context.Context) error {
		at, err := t.locate(ctx, "field", label)
		if err != nil || at.Checked {
			return err
		}
		if err := t.clickAt(ctx, at); err != nil {
			return err
		}
		if at, err = t.locate(ctx, "field", label); err == nil && !at.Checked {
			err = errors.New("the click changed nothing")
		}
		return err
	})
}

// Type presses keys, such as "j" or kb.Enter, where the focus is.
func (t *Tab) Type(keys string) error {
	return t.step("type", keys, func(ctx context.Context) error {
		if err := chromedp.Do(ctx, chromedp.KeyEvent(keys)); err != nil {
			return err
		}
		_ = t.run(ctx, "new Promise(done => setTimeout(done, 20))", nil) // as after a click
		return t.settle(ctx)
	})
}

// Text returns what a person reads in the first element of a selector.
func (t *Tab) Text(selector string) (string, error) {
	s, _ := json.Marshal(selector) // a string
	var text *string
	if err := t.Run(`document.querySelector(`+string(s)+`)?.innerText ?? null`, &text); err != nil {
		return "", err
	}
	if text == nil {
		return "", fmt.Errorf("there is no %s", selector)
	}
	return *text, nil
}

// See waits until the main part of the page, or its dialog, says something. Where the page reads by lines, spaces are as good as ends of
// lines.
func (t *Tab) See(text string) error { return t.await(text, true) }

// Lose waits until the content says it no more.
func (t *Tab) Lose(text string) error { return t.await(text, false) }

func (t *Tab) await(text string, there bool) error {
	what := "see"
	if !there {
		what = "lose"
	}
	return t.step(what, text, func(ctx context.Context) error {
		return poll(ctx, func() error {
			var said string
			if err := t.run(ctx, `(document.querySelector("dialog[open]") || document.querySelector("main") || document.body).innerText`, &said); err != nil {
				return err
			}
			said = strings.Join(strings.Fields(said), " ")
			if strings.Contains(said, text) != there {
				return fmt.Errorf("the page says: %s", said[:min(len(said), 2000)])
			}
			return nil
		})
	})
}

// Has reports whether there is a button, link or summary of exactly that name now.
func (t *Tab) Has(name string) (bool, error) {
	n, _ := json.Marshal(name) // a string
	var there bool
	err := t.Run(`!!(`+find+`)("has", `+string(n)+`)`, &there)
	return there, err
}
