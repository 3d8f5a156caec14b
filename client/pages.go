package client

import (
	"errors"
	"iter"
)

// errSamePage ends what would never end.
var errSamePage = errors.New("client: the server gave the same cursor twice")

// pages goes through the pages of a list. list asks for the page of params, and turn sets the cursor of the next one.
func pages[P, T any](params *P, list func(*P) ([]T, *string, error), turn func(*P, *string)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var page P
		if params != nil {
			page = *params
		}
		// mark is the cursor of the page whose number is the last power of two: a circle of any length comes to it again.
		mark := ""
		for n := 1; ; n++ {
			items, next, err := list(&page)
			if err == nil && next != nil && *next == mark && mark != "" {
				err = errSamePage
			}
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if next == nil || *next == "" {
				return
			}
			if n&(n-1) == 0 {
				mark = *next
			}
			turn(&page, next)
		}
	}
}
