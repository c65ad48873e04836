// Package bench compares oauth-login with what others do of the same, side by side
// in one run: make bench. It is a module of its own, so that what it is compared
// with is no dependency of the product.
package bench
