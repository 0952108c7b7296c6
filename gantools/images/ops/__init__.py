"""Operations on decoded images."""
