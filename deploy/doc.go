// Package deploy has no code: beside its folders are the tests of what they hold.
package deploy
