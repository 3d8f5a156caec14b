package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// stepTimeout bounds one step of a person: to open a page, to press a button, to see a text. It has room for a busy machine.
const stepTimeout = 20 * time.Second

// Tab is a page in a profile of its own: nothing of its cookies and its cache is another tab's.
type Tab struct {
	ctx    context.Context
	cancel context.CancelFunc
	axe    string
	origin string
	watch  *watch
}

// Open opens an empty tab for the pages of one origin, such as http://127.0.0.1:8080. It is 1280 wide and light, in UTC.
func (b *Browser) Open(origin string) (*Tab, error) {
	w := &watch{origin: origin, pages: map[string]bool{}}
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(w.hear))
	t := &Tab{ctx: ctx, cancel: cancel, axe: b.axe, origin: origin, watch: w}
	if err := t.prepare(); err != nil {
		cancel()
		return nil, err
	}
	return t, nil
}

func (t *Tab) prepare() error {
	if err := chromedp.Do(t.ctx); err != nil {
		return err
	}
	_, err := chromedp.Call(t.ctx, audits.Enable, cdp.Empty{})
	if err != nil {
		return err
	}
	_, err = chromedp.Call(t.ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "UTC"})
	if err != nil {
		return err
	}
	_, err = chromedp.Call(t.ctx, emulation.SetLocaleOverride, emulation.SetLocaleOverrideParams{Locale: "en-GB"})
	return errors.Join(err, t.Look(1280, 900, false))
}

// Close closes the tab and forgets its profile.
func (t *Tab) Close() { t.cancel() }

// Look sets how wide and high the page is, in CSS pixels, and whether the person prefers dark colors. Nothing moves: motion is reduced.
func (t *Tab) Look(width, height int64, dark bool) error {
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	_, err := chromedp.Call(t.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	if err != nil {
		return err
	}
	_, err = chromedp.Call(t.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1})
	return err
}

// Go opens a page by its path and waits until it is loaded.
func (t *Tab) Go(path string) error {
	ctx, cancel := context.WithTimeout(t.ctx, stepTimeout)
	defer cancel()
	answer, err := chromedp.Call(ctx, page.Navigate, page.NavigateParams{URL: t.origin + path})
	if err == nil && answer.ErrorText != "" {
		err = errors.New(answer.ErrorText)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	return t.settle(ctx)
}

// settle waits until the page is loaded, and its scripts have run.
func (t *Tab) settle(ctx context.Context) error {
	return poll(ctx, func() error {
		t.watch.mu.Lock()
		loading := t.watch.loading
		t.watch.mu.Unlock()
		if loading {
			return errors.New("the page is still loading")
		}
		var state string
		if err := t.run(ctx, "document.readyState", &state); err != nil || state != "complete" {
			return fmt.Errorf("the page is still loading: %s: %w", state, err)
		}
		return nil
	})
}

// poll asks until ok returns nil, and at the end of ctx tells what ok said last.
func poll(ctx context.Context, ok func() error) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	var last error
	for {
		err := ok()
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err // rather than that the time was over while it asked
		}
		select {
		case <-ctx.Done():
			return last
		case <-ticker.C:
		}
	}
}

// Run evaluates JavaScript in the page and reads its value, unless into is nil. A promise is waited for.
func (t *Tab) Run(expression string, into any) error {
	ctx, cancel := context.WithTimeout(t.ctx, stepTimeout)
	defer cancel()
	return t.run(ctx, expression, into)
}

func (t *Tab) run(ctx context.Context, expression string, into any) error {
	got, err := chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{Expression: expression, AwaitPromise: new(true), ReturnByValue: new(true)})
	switch {
	case err != nil:
		return err
	case got.ExceptionDetails != nil:
		return errors.New(exceptionText(got.ExceptionDetails))
	case into == nil:
		return nil
	}
	return json.Unmarshal(got.Result.Value, into)
}

// Faults returns what was wrong so far: errors and warnings of the console, exceptions, violations of the policy for content, requests
// to anywhere but the origin.
func (t *Tab) Faults() []string {
	t.watch.mu.Lock()
	defer t.watch.mu.Unlock()
	return append([]string(nil), t.watch.faults...)
}

// Weigh opens a page as for the first time and returns how many bytes came over the network, headers included.
func (t *Tab) Weigh(path string) (int, error) {
	if _, err := chromedp.Call(t.ctx, network.ClearBrowserCache, cdp.Empty{}); err != nil {
		return 0, err
	}
	t.watch.mu.Lock()
	t.watch.bytes = 0
	t.watch.mu.Unlock()
	if err := t.Go(path); err != nil {
		return 0, err
	}
	t.watch.mu.Lock()
	defer t.watch.mu.Unlock()
	return int(t.watch.bytes), nil
}

// Picture returns the page as it is seen, as PNG: the whole of it, or what fits the window.
func (t *Tab) Picture(whole bool) ([]byte, error) {
	ctx, cancel := context.WithTimeout(t.ctx, stepTimeout)
	defer cancel()
	got, err := chromedp.Call(ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatPng, CaptureBeyondViewport: new(whole)})
	return got.Data, err
}

// Keep writes the page into a folder, as a picture and as HTML, for a person who asks why a test failed.
func (t *Tab) Keep(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	picture, err := t.Picture(true)
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "page.png"), picture, 0o644)
	}
	var html string
	told := t.Run("location.href + '\\n' + document.documentElement.outerHTML", &html)
	if told == nil {
		told = os.WriteFile(filepath.Join(folder, "page.html"), []byte(html), 0o644)
	}
	return errors.Join(err, told)
}

// Scripts says whether pages that are opened from now on run their scripts. Ours run all the same.
func (t *Tab) Scripts(on bool) error {
	_, err := chromedp.Call(t.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
	return err
}
